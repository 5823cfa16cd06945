"""What a terminal gets of the commands: help that teaches, bars where someone looks on, words for mistakes."""

import json
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from wudi.commands.arguments import Arguments

Help = tuple[int | str, str, str, dict[str, tuple[int | str, str, str]]]
"""Status, output and complaints of `--help`, and the same for each example, only parsed."""

NEEDED = {f"python -m tasks.{name}" for name in ("fetch", "merge", "evaluate", "record", "samples", "doctor", "repro")}

SHOW = """
import sys, time
from tasks.console import command, step, track
from wudi.errors import WudiError

def main():
    for _ in track(range(3), "working"):
        time.sleep(0.1)
    step("done")
    raise WudiError("params.yaml: [bold]no such thing[/bold]")

command(main)
"""


def commands() -> list[str]:
    """The modules that are commands: those that hand their `main` to `command`, and `wudi`."""
    files = [*ROOT.glob("tasks/*.py"), *ROOT.glob("tasks/*/__main__.py"), ROOT / "flows" / "pipeline.py"]
    files += ROOT.glob("flows/*/__main__.py")
    entries = [file for file in files if '__name__ == "__main__"' in file.read_text(encoding="utf-8")]
    modules = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in entries]
    return sorted({module.removesuffix(".__main__") for module in modules} | {"wudi"})


@pytest.fixture(scope="module")
def helps() -> dict[str, Help]:
    """Every command's help, and what became of each of its examples."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.tasks.command_help"],
        cwd=ROOT,
        input=json.dumps(commands()),
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, Help] = json.loads(run.stdout.splitlines()[-1])
    return told


def test_help_teaches_by_examples_that_parse(helps: dict[str, Help]) -> None:
    assert {"wudi", "wudi merge", "python -m flows.nightly serve", *NEEDED} <= set(helps)
    for name, (status, text, complaint, parsed) in helps.items():
        assert (status, complaint) == (0, ""), name
        usage = text.partition("\n\n")[0]
        assert usage.startswith(f"usage: {name} ")
        assert ".py" not in usage
        assert "--verbose" in text, name
        assert parsed, f"{name} has no example of its own"
        for line, (ended, _, why) in parsed.items():
            assert ended == 0, f"{line}: {why}"


def on_a_terminal(program: str, **variables: str) -> str:
    """What a program writes to a terminal."""
    parent, child = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **variables}
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=child, stdout=child, stderr=child, env=environment, close_fds=True
    )
    os.close(child)
    written = b""
    while True:
        try:
            part = os.read(parent, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        written += part
    os.close(parent)
    assert process.wait() == 1
    return written.decode()


def test_a_bar_and_colours_are_for_those_who_look_on() -> None:
    seen = on_a_terminal(SHOW)
    assert "working" in seen
    assert "/3" in seen
    assert "left" in seen
    assert "\x1b[31merror: params.yaml: [bold]no such thing[/bold]" in seen
    colourless = on_a_terminal(SHOW, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*[39]\dm", colourless), "a colour in spite of NO_COLOR"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    piped = subprocess.run([sys.executable, "-c", SHOW], env=environment, capture_output=True, text=True, check=False)
    assert (piped.returncode, piped.stdout) == (1, "done\n")
    assert piped.stderr == "error: params.yaml: [bold]no such thing[/bold]\n"


def test_a_reader_who_has_enough_and_a_disk_that_has_not_are_no_tracebacks(tmp_path: Path) -> None:
    many = "from tasks.console import command, step\ncommand(lambda: [step('x' * 1000) for _ in range(1000)])"
    closed = "import os; from tasks.console import command; command(lambda: open('place/file', 'w'))"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    quoted = shlex.join([sys.executable, "-c", many])
    piped = subprocess.run(
        f"{quoted} | head -1", shell=True, env=environment, capture_output=True, text=True, check=True
    )
    assert (len(piped.stdout.splitlines()), piped.stderr) == (1, "")
    (tmp_path / "place").touch()
    run = subprocess.run(
        [sys.executable, "-c", closed], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert run.stderr == (
        "error: place/file: is a file where a folder should be, or lies below one; move it away "
        "and run the same command again\n"
    )


def test_verbose_reaches_the_processes_that_a_command_starts() -> None:
    program = (
        "import subprocess, sys; from wudi.commands.arguments import Arguments; Arguments(prog='x').parse_args()\n"
        "subprocess.run([sys.executable, '-c', 'import os; print(os.environ.get(\"WUDI_VERBOSE\"))'], check=True)"
    )
    for words, said in ((["--verbose"], "1\n"), ([], "None\n")):
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        run = subprocess.run(
            [sys.executable, "-c", program, *words], env=environment, capture_output=True, text=True, check=True
        )
        assert run.stdout == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["merge", "--ovrwrite"], "error: --ovrwrite: no such option; did you mean --overwrite?"),
        (["mrge"], "error: COMMAND: got 'mrge'; did you mean merge?"),
        (["merge", "--dtype", "flaot16"], "error: --dtype: got 'flaot16'; did you mean float16?"),
        (["merge", "a"], "error: a: one word more than it takes"),
        ([], "error: the following arguments are required: COMMAND"),
    ],
)
def test_a_mistyped_word_is_told_with_the_nearest(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    top = Arguments(prog="x", examples=[("x merge", "an example")])
    merging = top.add_subparsers(required=True, metavar="COMMAND").add_parser("merge")
    merging.add_argument("--overwrite", action="store_true")
    merging.add_argument("--dtype", choices=["float16", "float32"])
    with pytest.raises(SystemExit, match="2"):
        top.parse_args(words)
    told = capsys.readouterr().err
    assert told.startswith(said)
    assert told.count("\n") == 1
    assert re.search(r"`x( merge)? --help` has examples\n$", told)
