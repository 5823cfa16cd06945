"""What a command prints, as a picture of a terminal."""

import io
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text


def terminal(folder: Path, *arguments: str, shown: str, columns: int = 100) -> str:
    """Run `python ARGUMENTS` in a folder and give its terminal as SVG, with the command `shown` above."""
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(columns), "PYTHONPATH": str(folder)}
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
    console.print(Text.from_ansi(done.stdout.rstrip().replace(str(Path.home()), "~")))
    return console.export_svg(title="", theme=MONOKAI)
