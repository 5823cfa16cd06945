"""What reaches the user: one line a step, a bar on long work, one paragraph for a mistake."""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import tqdm
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from wudi.commands.arguments import is_verbose
from wudi.commands.trouble import mend
from wudi.errors import WudiError

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

TABLE_FOLLOWS = "WUDI_TABLE_FOLLOWS"
"""The environment variable of a command that prints the table with its warnings when its stages are done."""


def step(text: str) -> None:
    """Print one calm line that says what was done."""
    console.print(text, markup=False)


def warn(text: str) -> None:
    """Print one line about something that the user should know before trusting what was done."""
    errors.print(f"warning: {text}", style="yellow", markup=False)


def progress() -> Progress:
    """A bar with an estimate that leaves no trace; nothing is drawn where no terminal can take it back."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_interactive,
    )


def track(items: Sequence[Any], description: str) -> Iterable[Any]:
    """Yield `items` behind a bar."""
    with progress() as bars:
        yield from bars.track(items, description=description)


@contextmanager
def waiting(description: str) -> Iterator[None]:
    """A sign of life while something works whose end nobody knows; nothing where no terminal can take it back."""
    with console.status(description) if console.is_interactive else nullcontext():
        yield


@contextmanager
def bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar that each call of what it gives moves by a number of steps."""
    with progress() as bars:
        task = bars.add_task(description, total=total)
        yield lambda steps: bars.advance(task, steps)


def quiet() -> None:
    """Silence third-party bars, logs and warnings that nobody can act on; `--verbose` lets them through."""
    if is_verbose() or "--verbose" in sys.argv[1:]:  # no parser has seen the command line yet
        return
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    disable_tqdm()


def disable_tqdm() -> None:
    """Draw none of tqdm's bars, also where a library asks for one by name."""
    initialise = tqdm.std.tqdm.__init__

    def disabled(self: Any, *arguments: Any, **options: Any) -> None:
        initialise(self, *arguments, **{**options, "disable": True})

    tqdm.std.tqdm.__init__ = disabled


def command(main: Callable[[], None]) -> None:
    """Run a command's `main`: a `WudiError` becomes one paragraph and status 1, Ctrl-C one line and status 130."""
    try:
        main()
    except WudiError as error:
        errors.print(f"error: {error}", style="red", markup=False)
        sys.exit(1)
    except BrokenPipeError:
        console.on_broken_pipe()  # whoever read has enough; status 1, for a stage may not have ended
    except OSError as error:
        words = mend(error)
        if words is None:
            raise
        errors.print(f"error: {words} and run the same command again", style="red", markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        errors.print("interrupted: run the same command again to go on where it stopped", style="yellow")
        sys.exit(130)
