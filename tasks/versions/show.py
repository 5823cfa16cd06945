"""Versions in a terminal: a row each, a column for each recipe, what moved between them, and what to make of it."""

import math

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tasks.leaderboard.compare import LEVEL
from tasks.leaderboard.words import number, signed
from tasks.versions.change import SAME, Change
from tasks.versions.findings import findings
from tasks.versions.measure import same_score
from tasks.versions.moved import in_words
from tasks.versions.table import Comparison
from tasks.versions.version import MEAN, Version

WINS, ROSE, FELL, UNTESTED = "*", "▲", "▼", "?"
ASCII = str.maketrans({"▲": "^", "▼": "v", "–": "-", "→": ">"})
UNBOUNDED = 10_000


def print_comparison(console: Console, comparison: Comparison, benchmark: str = MEAN) -> None:
    """Print versions, what moved, and findings.

    Where a terminal is too narrow for a column a recipe, each version and recipe gets a line. Where the output is no
    terminal, lines are as long as they need to be.
    """
    grid = wide(comparison, benchmark, console)
    width = natural_width(grid, console)
    if console.is_terminal and width > console.width:
        grid, width = long(comparison, benchmark, console), console.width
    grid.width = None if console.is_terminal else width
    console.print(grid, soft_wrap=False, crop=False)
    lines = [legend(benchmark), *steps(comparison, benchmark), "", *findings(comparison, benchmark)]
    for line in lines:
        console.print(encodable(line, console), markup=False, soft_wrap=not console.is_terminal)


def wide(comparison: Comparison, benchmark: str, console: Console) -> Table:
    """A row a version and a column a recipe."""
    folded = any(len(version.names) > 1 for version in comparison.versions)
    grid = empty()
    grid.add_column("version", no_wrap=True)
    if folded:
        grid.add_column("same until", no_wrap=True)
    for recipe in comparison.recipes:
        grid.add_column(Text(recipe), justify="right", no_wrap=True)
    for version in comparison.versions:
        ends = [until(version)] if folded else []
        scores = [cell(comparison, version, recipe, benchmark) for recipe in comparison.recipes]
        texts = [Text(encodable(name, console)) for name in (version.label, *ends)]
        grid.add_row(*texts, *(Text(encodable(score, console), style) for score, style in scores))
    return grid


def long(comparison: Comparison, benchmark: str, console: Console) -> Table:
    """A row for each version and recipe, those of a version together."""
    grid = empty()
    for name in ("version", "recipe"):
        grid.add_column(name, overflow="fold")
    for name in ("score", "change"):
        grid.add_column(name, justify="right", no_wrap=True)
    for version in comparison.versions:
        recipes = [recipe for recipe in comparison.recipes if recipe in version.recipes]
        for position, recipe in enumerate(recipes):
            score, style = cell(comparison, version, recipe, benchmark)
            change = change_to(comparison, version, recipe, benchmark)
            difference = signed(change.difference) if change else ""
            name = version.title if not position else ""
            texts = [encodable(text, console) for text in (name, recipe, score, difference)]
            grid.add_row(*(Text(text, style) for text in texts), end_section=position == len(recipes) - 1)
    return grid


def empty() -> Table:
    """A table in the form of the leaderboard's."""
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )


def until(version: Version) -> str:
    """The last of a version's names, and how many there are; empty where there is one."""
    return f"{version.until} ({len(version.names)})" if len(version.names) > 1 else ""


def cell(comparison: Comparison, version: Version, recipe: str, benchmark: str) -> tuple[str, str]:
    """A score with its marks, and the style of its text."""
    score = version.score(recipe, benchmark)
    if math.isnan(score):
        return "", ""
    wins = recipe in version.winners(benchmark) and len(version.recipes) > 1
    mark = mark_of(comparison, version, recipe, benchmark)
    return f"{mark}{WINS if wins else ''}{number(score)}", "bold" if wins else ""


def change_to(comparison: Comparison, version: Version, recipe: str, benchmark: str) -> Change | None:
    """How a recipe changed since the version before."""
    step = comparison.step_to(version)
    return None if step is None else step.of(recipe, benchmark)


def mark_of(comparison: Comparison, version: Version, recipe: str, benchmark: str) -> str:
    """Whether a score really changed: a triangle; a question mark where it changed and nobody knows; else nothing."""
    step = comparison.step_to(version)
    change = None if step is None else step.of(recipe, benchmark)
    if step is None or change is None:
        return ""
    if same_score(step.before.score(recipe, benchmark), version.score(recipe, benchmark)):
        return ""
    shown = [step.before.benchmarks, version.benchmarks] if benchmark == MEAN else []
    if any(set(change.benchmarks) != set(names) for names in shown):
        return UNTESTED
    if not change.tested:
        return "" if change.reason == SAME else UNTESTED
    return TRIANGLES[change.told_apart, change.rose]


TRIANGLES = {(True, True): ROSE, (True, False): FELL, (False, False): ""}
"""By whether a difference is told apart, and whether it is a gain."""


def steps(comparison: Comparison, benchmark: str) -> list[str]:
    """What moved to each version, and which differences are real, a line each."""
    if not comparison.steps:
        return []
    lines = ["", "What moved:"]
    for step in comparison.steps:
        found = [change for change in step.changes if change.benchmark == benchmark and change.told_apart]
        real = [f"{change.recipe} {signed(change.difference)}" for change in found]
        parts = [in_words(step.moves), *([f"told apart: {', '.join(real)}"] if real else [])]
        lines.append(f"  {step.after.label}: {'; '.join(parts)}")
    return lines


def legend(benchmark: str) -> str:
    """What the numbers and the marks are."""
    what = (
        "Mean scores in percent, each benchmark counting alike"
        if benchmark == MEAN
        else f"Scores on {benchmark} in percent"
    )
    test = f"told apart from the version above, paired test, adjusted p < {LEVEL}"
    return f"{what}. {WINS} highest of its version; {ROSE} {FELL} {test}; {UNTESTED} other, but not tested."


def natural_width(grid: Table, console: Console) -> int:
    """The columns that a table takes when nothing in it is folded."""
    return Measurement.get(console, console.options.update(width=UNBOUNDED), grid).maximum


def encodable(text: str, console: Console) -> str:
    """`text` in what the output's encoding can hold."""
    return text.translate(ASCII) if console.options.ascii_only else text
