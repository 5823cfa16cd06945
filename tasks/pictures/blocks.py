"""One recipe's interference by block, before and after the merge: a panel for each kind of layer.

Before are the sum of the task vectors, which merges start from, and their mean; after is what the recipe has made. All
recipes' pictures have the same axes, so that they can be laid side by side. There may be forty of them with twelve
panels each: these are drawn on one sheet, since axes of matplotlib's own take many times as long.
"""

from typing import TYPE_CHECKING

import pandas as pd

from tasks.leaderboard.words import listing
from tasks.pictures.drawing import SMALL, TEXT, Look, canvas, elided, finish, hover, legend, title
from tasks.pictures.frame import PANELS, Frame, Scales, frames
from tasks.pictures.inks import ink
from tasks.pictures.layers import ALL, in_percent, left, left_by_kind
from tasks.pictures.picture import Picture
from tasks.pictures.scales import in_digits

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

LETTERS = 20
MARKED = 12
"""Lines through more blocks than these have no markers."""
LABELS = {"sum": "before: sum of the task vectors", "mean": "before: their mean", "result": "after the merge"}
STYLES: dict[str, Look] = {
    "sum": {"linestyle": (0, (4, 2)), "linewidth": 1.1, "markersize": 2},
    "mean": {"linestyle": (0, (1, 1.5)), "linewidth": 1.1, "markersize": 2},
    "result": {"linewidth": 1.8, "markersize": 3.5},
}
INKS = {"sum": "faint", "mean": "faint", "result": "line-0"}


def blocks(name: str, table: pd.DataFrame, scales: Scales) -> Picture:
    """The picture of one recipe.

    Args:
        name: The recipe.
        table: Its rows (kind, block) of what `by_kind_and_block` gives.
        scales: Those of all recipes.
    """
    by_kind = {str(kind): part.droplevel("kind") for kind, part in table.groupby(level="kind", sort=False)}
    kinds = list(by_kind)
    places = frames(len(kinds))
    width, height = (max(getattr(frame, edge) for frame in places) for edge in ("right", "bottom"))
    figure, axes = canvas(width, height)
    axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    axes.set_axis_off()
    for kind, shown, frame in zip(kinds, elided(kinds, LETTERS), places, strict=True):
        values = by_kind[kind].sort_index()
        name_panel(axes, frame, kind, shown, in_percent(left(values)))
        draw_scales(axes, frame, scales)
        for point in LABELS:
            draw_line(axes, frame, scales, point, values[point], f"{name}, {kind}")
    (short,) = elided([name])
    title(axes, f"{short}: interference L by layer, before and after the merge", above=32)
    legend(axes, [sample(point) for point in LABELS], columns=3 if len(kinds) >= PANELS - 1 else 1, handle=2.4)
    heading = f"{name}: interference L by layer, before and after the merge"
    return finish(figure, f"interference/{name}", heading, described(name, table), file=False)


def name_panel(axes: "Axes", frame: Frame, kind: str, shown: str, share: str) -> None:
    """The kind of layer, and what the merge leaves of its interference."""
    label = axes.text(frame.left, frame.top - 0.07, shown, fontsize=TEXT, color=ink("ink"))
    if shown != kind:
        hover(label, kind)
    place: Look = {"ha": "right", "fontsize": TEXT, "color": ink("line-0")}
    axes.text(frame.right, frame.top - 0.07, f"{share} left", **place)


def draw_scales(axes: "Axes", frame: Frame, scales: Scales) -> None:
    """Lines across, and the axis below; their numbers at the outer panels alone."""
    for tick in scales.ticks:
        down = frame.top + scales.down(tick)
        axes.plot([frame.left, frame.right], [down, down], color=ink("line"), linewidth=0.8, zorder=1)
        if frame.first:
            place: Look = {"ha": "right", "va": "center_baseline", "fontsize": TEXT, "color": ink("ink")}
            axes.text(frame.left - 0.07, down, in_digits(tick), **place)
    axes.plot([frame.left, frame.right], [frame.bottom] * 2, color=ink("faint"), linewidth=0.8, zorder=1)
    if not frame.last:
        return
    for block, text in scales.names.items():
        at = (frame.left + scales.across(block), frame.bottom + 0.05)
        axes.text(*at, text, ha="center", va="top", fontsize=TEXT, color=ink("ink"))
    axes.text(frame.left, frame.bottom + 0.22, "block", va="top", fontsize=SMALL, color=ink("faint"))


def draw_line(axes: "Axes", frame: Frame, scales: Scales, point: str, values: pd.Series, words: str) -> None:
    """A line through the blocks; what is in none is a point by itself."""
    for inside in (False, True):
        part = values[(values.index >= 0) == inside]
        if part.empty:
            continue
        across = [frame.left + scales.across(int(block)) for block in part.index]
        down = [frame.top + scales.down(float(value)) for value in part]
        marker = "o" if len(part) <= MARKED else ""
        (line,) = axes.plot(across, down, color=ink(INKS[point]), marker=marker, **STYLES[point])
        if point == "result" and marker:
            hover(line, *point_words(words, part))
        else:
            hover(line, f"{words}, {LABELS[point]}: {in_digits(float(part.sum()))} in all")


def point_words(words: str, values: pd.Series) -> list[str]:
    """The words on each point."""
    known = ((int(str(block)), float(value)) for block, value in values.items())
    return [f"{words}, {f'block {at}' if at >= 0 else 'no block'}: {in_digits(value)}" for at, value in known]


def sample(point: str) -> "Artist":
    """A line for the legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=LABELS[point], color=ink(INKS[point]), marker="o", **STYLES[point])


def described(name: str, table: pd.DataFrame) -> str:
    """What is left over all layers and in each kind."""
    values = {kind: in_percent(value) for kind, value in left_by_kind(table).items()}
    total = values.pop(ALL)
    parts = listing([f"{kind} {value}" for kind, value in values.items()])
    return f"{name} leaves {total} of the interference that the task vectors' sum has; by kind: {parts}."
