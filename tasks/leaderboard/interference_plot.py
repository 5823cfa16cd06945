"""The picture of interference: a panel for each kind of layer, block by block, before and after the merge.

The sum and the mean of the task vectors are what merges start from or are compared with, and the same for all recipes.
Forty recipes cannot have forty colours: the first few, which rank highest, have theirs, and the others are grey.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tasks.leaderboard.drawing import FAINT, GREY, INK, heading, legend, panel, paper, png
from wudi.names import block_number, module_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 2.3, 1.7
RIGHT, BELOW = 0.2, 0.42
COLUMNS = 4
PANELS = 12
"""Kinds beyond these share the last panel."""
LETTERS = 30
"""A panel is no wider than these."""
MARKED = 12
"""Lines through more blocks than these have no markers."""

COLOURS = ["#0b4f8a", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
OTHER = "#c3ccd4"
THIN = {"color": INK, "linewidth": 1.0, "markersize": 3}
REFERENCES: Mapping[str, dict[str, Any]] = {
    "sum": {"label": "sum of the task vectors", "linestyle": (0, (4, 2)), "marker": "v", **THIN},
    "mean": {"label": "mean of the task vectors", "linestyle": (0, (1, 1.5)), "marker": "x", **THIN},
}


def interference(layers: pd.DataFrame) -> bytes:
    """L at the sum, at the mean and at each merge, as a PNG.

    Args:
        layers: As `load_interference` gives them, with one row at least; the recipes best first.
    """
    table = by_kind_and_block(layers)
    kinds = list(table.index.unique("kind"))
    styles = recipe_styles(list(layers.index.unique("recipe")))
    columns, rows = min(len(kinds), COLUMNS), -(-len(kinds) // COLUMNS)
    figure = paper(columns * (WIDTH + RIGHT), rows * (HEIGHT + BELOW))
    panels = []
    for number, kind in enumerate(kinds):
        row, column = divmod(number, COLUMNS)
        axes = panel(figure, column * (WIDTH + RIGHT), row * (HEIGHT + BELOW), WIDTH, HEIGHT)
        name = kind if len(kind) <= LETTERS else f"{kind[: LETTERS - 1]}…"
        axes.set_title(name, loc="left", fontsize=9, color=INK, pad=4)
        draw(axes, table[table.index.get_level_values("kind") == kind].droplevel("kind"), styles)
        axes.tick_params(axis="y", which="both", labelleft=column == 0)
        if number + COLUMNS >= len(kinds):
            axes.set_xlabel("block", color=FAINT, fontsize=9, loc="left")
        panels.append(axes)
    share_scales(panels, table)
    heading(figure, "Interference L by kind of layer and block")
    add_legend(panels[(rows - 1) * COLUMNS], styles)
    return png(figure)


def by_kind_and_block(layers: pd.DataFrame) -> pd.DataFrame:
    """The interference of the tensors of one kind in one block, summed: rows (recipe, kind, block).

    Tensors in no block get a negative number, so far left of block 0 that the labels have room.
    """
    tensors = layers.index.get_level_values("tensor")
    kinds = [module_name(tensor) for tensor in tensors]
    known = list(dict.fromkeys(kinds))
    if len(known) > PANELS:
        alone = set(known[: PANELS - 1])
        kinds = [kind if kind in alone else f"{len(known) - len(alone)} other kinds" for kind in kinds]
    blocks = [block_number(tensor) for tensor in tensors]
    placed = layers.reset_index("tensor", drop=True)
    outside = -1 - max((block for block in blocks if block is not None), default=0) // 8
    placed = placed.assign(kind=kinds, block=[outside if block is None else block for block in blocks])
    return placed.groupby(["recipe", "kind", "block"], sort=False).sum()


def recipe_styles(recipes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """How each recipe's line is drawn: a colour of its own for the first ones, best first."""
    others = len(recipes) - len(COLOURS)
    styles = {}
    for number, recipe in enumerate(recipes):
        coloured = number < len(COLOURS)
        styles[recipe] = {
            "label": recipe if coloured else f"{others} other {'recipe' if others == 1 else 'recipes'}",
            "color": COLOURS[number] if coloured else OTHER,
            "linewidth": 1.4 if coloured else 0.8,
            "marker": "o",
            "markersize": 3,
        }
    return styles


def draw(axes: "Axes", table: pd.DataFrame, styles: Mapping[str, dict[str, Any]]) -> None:
    """Fill one panel; the first recipe, drawn last, lies on top."""
    start = table.groupby(level="block").first()
    results = table["result"].unstack("recipe")
    for recipe in reversed(list(styles)):
        if recipe in results:
            line(axes, results[recipe].dropna(), styles[recipe])
    for point, style in REFERENCES.items():
        line(axes, start[point], style)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=GREY, linewidth=0.8)
    axes.set_axisbelow(True)


def line(axes: "Axes", values: pd.Series, style: dict[str, Any]) -> None:
    """A line through the blocks; what is in none is a point by itself."""
    values = values.sort_index()
    for part in (values[values.index < 0], values[values.index >= 0]):
        marker = style["marker"] if len(part) <= MARKED else ""
        axes.plot(part.index.to_numpy(), part.to_numpy(), **{**style, "marker": marker})


def share_scales(panels: Sequence["Axes"], table: pd.DataFrame) -> None:
    """The same axes on every panel: blocks from the first to the last, L logarithmic, with a place for 0."""
    values = table.to_numpy(dtype=np.float64)
    positive = values[values > 0]
    low, high = (positive.min(), positive.max()) if len(positive) else (1.0, 1.0)
    decade = 10.0 ** np.floor(np.log10(low))
    blocks = np.sort(table.index.unique("block").to_numpy())
    inside = blocks[blocks >= 0]
    ticks = {block: str(block) for block in inside[:: -(-len(inside) // 6) or 1]}
    ticks |= dict.fromkeys(blocks[blocks < 0], "none")
    room = max(0.4, (blocks[-1] - blocks[0]) / 40)
    for axes in panels:
        if len(positive) < values.size:
            axes.set_yscale("symlog", linthresh=decade)
            axes.set_ylim(-0.15 * decade, high * 1.6)
        else:
            axes.set_yscale("log")
            axes.set_ylim(low / 1.6, high * 1.6)
        axes.tick_params(axis="y", which="minor", labelsize=9, labelcolor=INK, color=FAINT)
        axes.set_xlim(blocks[0] - room, blocks[-1] + room)
        axes.set_xticks(list(ticks), list(ticks.values()))


def add_legend(axes: "Axes", styles: Mapping[str, dict[str, Any]]) -> None:
    """Name the lines below the panels, in as many columns as the names leave room for."""
    from matplotlib.lines import Line2D

    by_label = {style["label"]: style for style in (*REFERENCES.values(), *styles.values())}
    longest = max(len(name) for name in by_label)
    columns = 3 if longest <= 26 else 2 if longest <= 44 else 1
    legend(axes, [Line2D([], [], **style) for style in by_label.values()], columns=columns, handle=2.2, below=0.6)
