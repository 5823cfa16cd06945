"""Scores by version as lines: a line a recipe, with the points where a model moved and scores really did."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.leaderboard.drawing import FAINT, GREY, legend, panel, paper, png, title
from tasks.versions.table import Comparison
from tasks.versions.version import MEAN, Version

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

COLOURS = ("#0b4f8a", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5f6c78", "#8c2d04")
"""Told apart by people who see colours otherwise, after Okabe and Ito."""
LINES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
"""The next kind of line where the colours are used up."""
WIDTH, HEIGHT, GAP = 8.0, 3.0, 0.75
TICKS, NAMED = 24, 12
"""More versions than these are not all named below the axis, and more moves not above it."""
MOVES = ("base", "expert")


def pictures(comparison: Comparison) -> dict[str, bytes]:
    """The mean scores and, in a panel each, the scores on every benchmark, in no style of the user's own."""
    import matplotlib.style

    with matplotlib.style.context("default"):
        drawn = {"mean": lines(comparison, [MEAN])}
        if comparison.benchmarks:
            drawn["benchmarks"] = lines(comparison, comparison.benchmarks)
    return drawn


def lines(comparison: Comparison, benchmarks: Sequence[str]) -> bytes:
    """Scores by version, a panel for each benchmark, as a PNG."""
    figure = paper(WIDTH, len(benchmarks) * (HEIGHT + GAP))
    for position, benchmark in enumerate(benchmarks):
        last = position == len(benchmarks) - 1
        axes = panel(figure, 0, position * (HEIGHT + GAP), WIDTH, HEIGHT)
        handles = draw(axes, comparison, benchmark)
        mark_moves(axes, comparison, named=position == 0 and any_named(comparison))
        name_versions(axes, comparison.versions, named=last)
        heading = "Mean score in percent" if benchmark == MEAN else f"{benchmark}: score in percent"
        title(axes, heading, above=12 if position or not any_named(comparison) else 62)
        if last:
            legend(axes, handles, columns=4, handle=2.5, below=1.35)
    return png(figure)


def draw(axes: "Axes", comparison: Comparison, benchmark: str) -> list["Artist"]:
    """A line for each recipe, broken where it has no score, with a triangle at each real change."""
    from matplotlib.lines import Line2D

    places = np.arange(len(comparison.versions))
    handles: list[Artist] = []
    for number, recipe in enumerate(comparison.recipes):
        scores = [version.score(recipe, benchmark) for version in comparison.versions]
        kind = LINES[number // len(COLOURS) % len(LINES)]
        look: dict[str, Any] = {"color": COLOURS[number % len(COLOURS)], "linestyle": kind, "linewidth": 1.6}
        axes.plot(places, scores, marker="o", markersize=3, **look)
        for verb, marker in (("rose", "^"), ("fell", "v")):
            found = [place for place in places[1:] if changed(comparison, int(place), recipe, benchmark, verb)]
            points = [scores[place] for place in found]
            axes.plot(found, points, marker, markersize=8, color=look["color"], markeredgecolor="white")
        handles.append(Line2D([], [], label=recipe, **look))
    return handles


def changed(comparison: Comparison, place: int, recipe: str, benchmark: str, verb: str) -> bool:
    """Whether a recipe really rose or fell at a version."""
    change = comparison.steps[place - 1].of(recipe, benchmark)
    return change is not None and bool(getattr(change, verb))


def mark_moves(axes: "Axes", comparison: Comparison, *, named: bool) -> None:
    """A line across where the base or an expert moved, with their names above if there is room."""
    for place, step in enumerate(comparison.steps, start=1):
        names = [move.name or "base" for move in step.moves if move.kind in MOVES]
        if names:
            axes.axvline(place, color=FAINT, linewidth=0.8, linestyle=(0, (2, 3)), zorder=0)
        if names and named:
            text = ", ".join(names) if len(names) < 3 else f"{len(names)} models"
            where: dict[str, Any] = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points"}
            axes.annotate(text, (place, 1), (0, 3), rotation=35, fontsize=8, color=FAINT, **where)


def any_named(comparison: Comparison) -> bool:
    """Whether models moved, and not too often for their names to stand side by side."""
    return 0 < sum(any(move.kind in MOVES for move in step.moves) for step in comparison.steps) <= NAMED


def name_versions(axes: "Axes", versions: Sequence[Version], *, named: bool) -> None:
    """The versions' names below the axis; of many, some at even distances."""
    stride = -(-len(versions) // TICKS)
    places = range(0, len(versions), stride)
    axes.set_xticks(places, [versions[place].label for place in places] if named else [""] * len(places))
    for tick in axes.get_xticklabels():
        tick.set(rotation=35, ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.5, len(versions) - 0.5)
    axes.grid(axis="y", color=GREY)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
