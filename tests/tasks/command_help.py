"""Asks commands for their help and has them parse its examples, all in one process: torch is loaded once.

    echo '["tasks.merge"]' | python -m tests.tasks.command_help

prints, of each command and subcommand, status, output and complaints of `--help`, and of parsing each example.
"""

import argparse
import io
import json
import re
import runpy
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

Ended = tuple[int | str, str, str]


class Parsed(BaseException):
    """The command line makes sense; what it asks for is not done."""


def run(module: str, words: list[str]) -> Ended:
    sys.argv = [module, *words]
    said, complaint = io.StringIO(), io.StringIO()
    status: int | str = 0
    try:
        with redirect_stdout(said), redirect_stderr(complaint):
            runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code or 0
    except Parsed:
        pass
    return status, said.getvalue(), complaint.getvalue()


def helps(module: str) -> dict[str, Ended]:
    """The help of a command, and of its subcommands: the words that stand below COMMAND."""
    name = module if module == "wudi" else f"python -m {module}"
    told = {name: run(module, ["--help"])}
    for word in re.findall(r"^    (\S+)  +\S", told[name][1].partition("\noptions:")[0], re.MULTILINE):
        told[f"{name} {word}"] = run(module, [word, "--help"])
    return told


def examples(text: str) -> list[str]:
    """The command lines below `examples:`."""
    lines = text.partition("\nexamples:\n")[2].partition("\n\n")[0].splitlines()
    return [re.split(r"  +", line.strip())[0] for line in lines if re.match(r"  \S", line)]


def own_words(name: str, example: str) -> list[str] | None:
    """What follows a command's name in an example; None where it is one of another command."""
    words = shlex.split(example)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        del words[0]
    return words[len(name.split()) :] if " ".join([*words, ""]).startswith(f"{name} ") else None


def only_parse(
    self: Any, arguments: Any = None, namespace: Any = None, parse: Any = argparse.ArgumentParser.parse_args
):
    parse(self, arguments, namespace)
    raise Parsed


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    told = {module: helps(module) for module in asked}
    argparse.ArgumentParser.parse_args = only_parse  # type: ignore[method-assign]
    parsed: dict[str, dict[str, Ended]] = {}
    for module, texts in told.items():
        command = next(iter(texts))
        for name, (_, text, _) in texts.items():
            lines = {example: own_words(command, example) for example in examples(text)}
            parsed[name] = {example: run(module, words) for example, words in lines.items() if words is not None}
    print(json.dumps({name: [*end, parsed[name]] for texts in told.values() for name, end in texts.items()}))
