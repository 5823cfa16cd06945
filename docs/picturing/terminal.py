"""What a command prints, as a picture of a terminal."""

import io
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from docs.picturing.nights import ROOT

AS_A_READER = {
    "FORCE_COLOR": "1",
    "TTY_INTERACTIVE": "0",  # what moves would be shown at every step
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "user.name",
    "GIT_CONFIG_VALUE_0": "Ada",
}
"""Colours, nothing that moves, and nothing of whoever makes the pictures."""


def terminal(folder: Path, *arguments: str, shown: str, columns: int = 100) -> str:
    """Run `python ARGUMENTS` in a folder and give its terminal as SVG, with the command `shown` above."""
    environment = {**os.environ, **AS_A_READER, "COLUMNS": str(columns), "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(Text(f"$ {shown}", style="bold"))
    said = done.stdout.rstrip().replace(str(folder), "~/experiment").replace(str(ROOT), "~/experiment")
    console.print(Text.from_ansi(said))
    return console.export_svg(title="", theme=MONOKAI)
