"""Cells in rows and columns with a number in each: what the pictures of scores, cosines and layers have in common."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.pictures.drawing import ROW, TEXT, Look, canvas, elided, hover, name_rows
from tasks.pictures.inks import ink, step

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN = 0.86
GAP, WIDE_GAP = 0.02, 0.08
"""Between cells, in inches; a wide one sets off what is of another kind."""
UPRIGHT = 11
"""Names of columns longer than this stand at an angle."""
COLUMN_LETTERS = 24


@dataclass(frozen=True)
class Cell:
    """A number, its colours, and the words where a pointer rests on it."""

    text: str
    fill: str
    ink: str
    words: str


def cell(value: float, text: str, words: str, top: float) -> Cell:
    """A cell as dark as its value is far from 0, the darkest at `top`; grey where there is no value."""
    if math.isnan(value):
        return Cell(text, ink("missing"), ink("faint"), words)
    return Cell(text, *step(value, top), words)


def grid(
    cells: Sequence[Sequence[Cell]],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    row_gaps: Sequence[int] = (),
    column_gaps: Sequence[int] = (),
    shown: Sequence[str] | None = None,
) -> tuple["Figure", "Axes"]:
    """Draw the cells with their names at the left and above.

    Args:
        cells: By row and column.
        rows: What each row is called.
        columns: What each column is called.
        row_gaps: The rows that have a wide gap above them.
        column_gaps: The columns that have a wide gap at their left.
        shown: The rows' names in short, where they have a short form of their own.
    """
    figure, axes = canvas(len(columns) * COLUMN, len(rows) * ROW)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    axes.set_frame_on(False)
    for number, row in enumerate(cells):
        top = WIDE_GAP if number in row_gaps else GAP
        for place, each in enumerate(row):
            left = WIDE_GAP if place in column_gaps else GAP
            draw_cell(axes, each, place, number, left / COLUMN, top / ROW)
    name_rows(axes, rows, shown)
    name_columns(axes, columns)
    return figure, axes


def draw_cell(axes: "Axes", cell: Cell, column: int, row: int, left: float, top: float) -> None:
    """A rectangle that leaves gaps at its left and above, and its number level with the names of its row and column."""
    from matplotlib.patches import Rectangle

    corner = (column - 0.5 + left, row - 0.5 + top)
    box = Rectangle(corner, 1 - left, 1 - top, facecolor=cell.fill, edgecolor="none", zorder=1)
    axes.add_artist(box)
    # of one height with its rectangle, so that both are drawn one after the other and have their words together
    style: Look = {"ha": "center", "va": "center_baseline", "fontsize": TEXT, "zorder": 1}
    number = axes.text(column, row, cell.text, color=cell.ink, **style)
    for part in (box, number):
        part.set_in_layout(False)  # hundreds, all within the axes
    if cell.words:
        hover(box, cell.words)
        hover(number, cell.words)


def name_columns(axes: "Axes", names: Sequence[str]) -> None:
    """Names above the columns, at an angle where they are long."""
    axes.set_xticks(range(len(names)), elided(names, COLUMN_LETTERS))
    axes.tick_params(axis="x", top=True, bottom=False, labeltop=True, labelbottom=False)
    turned = max(len(name) for name in names) > UPRIGHT
    for label, name in zip(axes.get_xticklabels(), names, strict=True):
        if turned:
            label.set(rotation=35, ha="left", rotation_mode="anchor")
        if label.get_text() != name:
            hover(label, name)
