"""Counts as a table."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tasks.reading.count import Count
from tasks.reading.text import harmless

UNBOUNDED = 10_000


def print_counts(console: Console, counts: Sequence[Count]) -> None:
    """Print a row for each task, and below them how often programs failed in which way."""
    models = list(counts[-1].right)
    headings = (
        ["right", "wrong"] if len(models) == 1 else ["both right", *(f"{name} alone" for name in models), "neither"]
    )
    rows = [[count.task, str(count.questions), *map(str, cells(count))] for count in counts]
    print_table(console, ["task", "questions", *headings], rows)
    failures = [
        [model, kind, str(number)] for model, found in counts[-1].failures.items() for kind, number in found.items()
    ]
    if failures:
        console.print()
        print_table(console, ["model", "programs", "questions"], failures)


def cells(count: Count) -> list[int]:
    """Right and wrong of one model; of two, both right, each alone, and neither."""
    first = next(iter(count.right.values()))
    if len(count.right) == 1:
        return [first, count.questions - first]
    both = first - count.gained
    return [both, count.gained, count.lost, count.questions - both - count.gained - count.lost]


def print_table(console: Console, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print words left and numbers right; where the output is no terminal, no word is folded."""
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for heading, example in zip(headings, rows[0], strict=True):
        grid.add_column(Text(heading), justify="right" if example.isdigit() else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(harmless(cell)) for cell in row))
    if not console.is_terminal:
        grid.width = Measurement.get(console, console.options.update(width=UNBOUNDED), grid).maximum
    console.print(grid, soft_wrap=False, crop=False)
