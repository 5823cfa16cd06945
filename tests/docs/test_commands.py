"""Every command of this project that a page names can be typed: it is parsed, and not run."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT
from tests.docs.test_links import PAGES

CODE = re.compile(r"^```\w*\n(.*?)^```$|`([^`]+)`", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^(?:sudo )?(?:[A-Z_]+=\S+ )*(wudi [a-z-]+.*|python -m (?:wudi|tasks|flows)\b.*|make [a-z-]+)$")
OPEN = re.compile(r"…|\.\.\.")
"""What stands for more than it says: such a command is no line to type."""
PARSED = """
import argparse, io, json, re, runpy, sys, warnings
from contextlib import redirect_stdout

class Parsed(Exception):
    pass

def parsed(parser, *arguments, **options):
    parse(parser, *arguments, **options)
    raise Parsed

warnings.simplefilter("ignore")
parse = argparse.ArgumentParser.parse_args
argparse.ArgumentParser.parse_args = parsed
refused = []
for words, options in json.load(sys.stdin):
    sys.argv, help, problem = words[2:], io.StringIO(), ""
    try:
        with redirect_stdout(help):
            runpy.run_module(words[2], run_name="__main__", alter_sys=True)
    except Parsed:
        pass
    except (SystemExit, ImportError) as error:
        problem = "" if isinstance(error, SystemExit) and not error.code else str(error)
    unknown = [option for option in options if option not in re.findall(r"--[a-z-]+", help.getvalue())]
    if problem or unknown:
        refused.append(" ".join([*words, *unknown, problem]))
json.dump(refused, sys.stdout)
"""
"""Parses commands in one process. Of those that a text only mentions, the help must have the options."""


def commands() -> Iterator[tuple[str, str, bool]]:
    """Each line in code that is a command of this project, its page, and whether it is a block's, to be typed."""
    for page in PAGES:
        for block, inline in CODE.findall(page.read_text(encoding="utf-8")):
            if "──" in block:  # a table that was printed
                continue
            for line in (block or inline.replace("\n", " ")).replace("\\\n", " ").splitlines():
                for part in re.split(r" && | \| ", re.sub(r"\s+(#.*|  .*)$", "", line)):
                    if (found := COMMAND.match(part.strip())) and not OPEN.search(part):
                        yield found[1], page.name, bool(block)


COMMANDS = sorted(set(commands()))


def typed(line: str) -> tuple[list[str], list[str]]:
    """A command's words, with a number where a page says N."""
    split = ["1" if word in ("N", "SECONDS") else word for word in shlex.split(line)]
    return (["python", "-m", *split] if split[0] == "wudi" else split), []


def mentioned(line: str) -> tuple[list[str], list[str]]:
    """The command that shows the help of what a text mentions, and the options that must be in there."""
    whole, _ = typed(line)
    has_words = whole[2] in ("wudi", "flows.nightly") and len(whole) > 3 and not whole[3].startswith("-")
    options = [word.partition("=")[0] for word in whole if word.startswith("--")]
    return [*whole[: 4 if has_words else 3], "--help"], [option for option in options if option != "--help"]


def test_commands_are_parsed() -> None:
    lines = [(line, block) for line, _, block in COMMANDS if not line.startswith("make ")]
    assert len(lines) > 100
    done = subprocess.run(
        [sys.executable, "-c", PARSED],
        input=json.dumps([typed(line) if block else mentioned(line) for line, block in lines]),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [], done.stderr


@pytest.mark.parametrize("line", sorted({line for line, _, _ in COMMANDS if line.startswith("make ")}))
def test_make_knows_its_words(line: str) -> None:
    rules = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert line.split()[1] in rules
