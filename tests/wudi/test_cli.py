"""`wudi` as it is typed: its help and its words for slips need not wait for torch."""

import subprocess
import sys
from importlib.metadata import version

from tests.conftest import ROOT

ASKED = """
import sys
from wudi.cli import main
for words in ({words}):
    try:
        main(words)
    except SystemExit as end:
        print("status", end.code)
print("torch" in sys.modules)
"""


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)


def test_help_and_version_wait_for_no_torch() -> None:
    words = [["--help"], ["--version"], *([name, "--help"] for name in ("merge", "inspect", "convert", "verify"))]
    run = python(ASKED.format(words=", ".join(map(str, words))))
    assert run.stderr == ""
    assert run.stdout.count("status 0") == len(words)
    assert run.stdout.endswith("False\n")
    assert f"wudi {version('wudi')}\n" in run.stdout


def test_mistakes_on_the_command_line_wait_for_no_torch_either() -> None:
    run = python(ASKED.format(words="['mrge'], ['merge', 'a', 'b'], ['verify']"))
    assert run.stdout == "status 2\nstatus 2\nstatus 2\nFalse\n"
    assert run.stderr.splitlines() == [
        "error: COMMAND: got 'mrge'; did you mean merge?; `wudi --help` has examples",
        "error: the following arguments are required: --method, --out; `wudi merge --help` has examples",
        "error: the following arguments are required: DIR; `wudi verify --help` has examples",
    ]
