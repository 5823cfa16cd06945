"""What reaches the user: one line a step, a bar on long work, one paragraph for a mistake."""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from wudi.errors import WudiError

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def step(text: str) -> None:
    """Print one calm line that says what was done."""
    console.print(text, markup=False)


def track(items: Sequence[Any], description: str) -> Iterable[Any]:
    """Yield `items` behind a bar with an estimate; nothing is drawn where the output is not a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(items, description=description)


def quiet() -> None:
    """Silence third-party bars, logs and warnings that nobody can act on; call before those libraries are imported."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TQDM_DISABLE", "1")
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)


def command(main: Callable[[], None]) -> None:
    """Run a command's `main`: a `WudiError` becomes one paragraph and status 1, Ctrl-C one line and status 130."""
    try:
        main()
    except WudiError as error:
        errors.print(f"error: {error}", style="red", markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("interrupted: run the same command again to go on where it stopped", style="yellow")
        sys.exit(130)
