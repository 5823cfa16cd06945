"""The two pictures of scores: normalised scores as a heat map, mean normalised scores as bars."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from tasks.leaderboard.compare import LEVEL
from tasks.leaderboard.drawing import FAINT, INK, ROW, blues, canvas, legend, png, title
from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.normalise import Z_95
from tasks.leaderboard.words import label, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMN = 0.85
DARK = 0.52
"""From this share of the colours' range on, white is easier to read than black."""
FIRST, NEAR, APART, EXPERT, BASE = "#0b4f8a", "#4a90c9", "#b3d1ea", "#9aa5b1", "#d3d9de"


def heatmap(board: Leaderboard) -> bytes:
    """Normalised scores, models × benchmarks, and their mean, as a PNG."""
    table = board.wide("normalised")
    table["mean"] = board.summary["mean_normalised"]
    values = table.to_numpy(dtype=np.float64)
    rows, columns = values.shape
    figure, axes = canvas(columns * COLUMN, rows * ROW)
    top = max(100.0, np.nanmax(values, initial=0.0))
    colours = blues()
    axes.imshow(np.ma.masked_invalid(values), cmap=colours, vmin=0, vmax=top, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        ink = "white" if value > DARK * top else INK
        axes.text(column, row, number(value), ha="center", va="center", fontsize=9, color=ink)

    axes.set_yticks(range(rows), labels(board, table.index))
    turned = max(len(name) for name in board.benchmarks) > 11
    axes.set_xticks(range(columns), list(table.columns))
    axes.tick_params(axis="x", top=True, bottom=False, labeltop=True, labelbottom=False)
    for tick in axes.get_xticklabels() if turned else ():
        tick.set(rotation=35, ha="left", rotation_mode="anchor")
    # white lines between cells; wider ones set off the mean and the recipes from the models that they were made of
    for edge in range(1, rows):
        axes.axhline(edge - 0.5, color="white", linewidth=5 if edge == len(board.recipes) else 1)
    for edge in range(1, columns):
        axes.axvline(edge - 0.5, color="white", linewidth=5 if edge == columns - 1 else 1)
    for tick in axes.get_yticklabels()[len(board.recipes) :]:
        tick.set_color(FAINT)
    axes.tick_params(length=0)
    axes.set_frame_on(False)
    title(axes, "Normalised score: 100 = the benchmark's expert")
    return png(figure)


def means(board: Leaderboard) -> bytes:
    """Mean normalised scores with 95 % intervals, highest first, as a PNG."""
    summary = board.summary.sort_values("mean_normalised", ascending=False, kind="stable")
    values = summary["mean_normalised"].to_numpy(dtype=np.float64)
    errors = Z_95 * summary["mean_normalised_stderr"].to_numpy(dtype=np.float64)
    ends = np.nan_to_num(values) + np.nan_to_num(errors)  # where the bar's number stands
    limit = max(100.0, float(ends.max())) * 1.12
    figure, axes = canvas(5.2, len(summary) * ROW)
    colours = {name: colour(board, name) for name in summary.index}
    rows = np.arange(len(summary))
    axes.barh(rows, np.nan_to_num(values), height=0.72, color=list(colours.values()))
    sides = [np.minimum(errors, values), errors]  # no score is below 0
    axes.errorbar(values, rows, xerr=sides, fmt="none", ecolor=INK, elinewidth=1, capsize=2)
    for row, (value, end) in enumerate(zip(values, ends, strict=True)):
        text = "not defined" if np.isnan(value) else number(value)
        axes.annotate(text, (end, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9, color=INK)

    axes.set_yticks(rows, labels(board, summary.index))
    axes.set(xlim=(0, limit), ylim=(len(summary) - 0.5, -0.5))
    axes.set_xlabel("mean normalised score, 95 % interval (100 = the experts)", color=FAINT, fontsize=9, loc="left")
    axes.axvline(100, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    name_colours(board, axes)
    title(axes, "Mean normalised score of each model")
    return png(figure)


def colour(board: Leaderboard, name: str) -> str:
    """What a bar's colour says: the kind of model and, for a recipe, whether it is told apart from the first."""
    kind = board.summary["kind"][name]
    if kind != "recipe":
        return BASE if kind == "base" else EXPERT
    if name in board.leaders:
        return FIRST
    return APART if board.first is None or board.p_against_first(name) < LEVEL else NEAR


def labels(board: Leaderboard, names: Iterable[str]) -> list[str]:
    """What stands beside each row."""
    return [label(name, board.summary["kind"][name]) for name in names]


def name_colours(board: Leaderboard, axes: "Axes") -> None:
    """Name the colours that occur, below the axis."""
    from matplotlib.patches import Patch

    words = {
        FIRST: "first recipe",
        NEAR: "not told apart from it",
        APART: "recipe" if board.first is None else "told apart from it",
        EXPERT: "expert",
        BASE: "base",
    }
    used = {colour(board, name) for name in board.summary.index}
    handles = [Patch(color=shade, label=text) for shade, text in words.items() if shade in used]
    legend(axes, handles, columns=3)
