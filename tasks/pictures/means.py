"""Mean normalised scores as bars, with their 95 % intervals."""

import math
from typing import TYPE_CHECKING

import pandas as pd

from tasks.leaderboard.compare import LEVEL
from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.normalise import Z_95
from tasks.leaderboard.words import interval, label, listing, number
from tasks.pictures.drawing import ROW, TEXT, Look, canvas, finish, hover, legend, name_rows, title
from tasks.pictures.inks import ink
from tasks.pictures.picture import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 5.2
NUMBER = 36
"""So many points right of the axes a number ends."""
ROOM = 1.02
"""So much longer than the longest interval is the axis; the numbers stand in a column at its right."""
WORDS = {
    "first": "first recipe",
    "near": "not told apart from it",
    "apart": "told apart from it",
    "model": "base and experts",
}


def means(board: Leaderboard) -> Picture:
    """All models, the highest mean first."""
    table = intervals(board)
    figure, axes = canvas(WIDTH, len(table) * ROW)
    names = [label(str(name), board.summary["kind"][name]) for name in table.index]
    for row, (name, (model, line)) in enumerate(zip(names, table.iterrows(), strict=True)):
        draw_bar(axes, row, name, line, ink(colour(board, str(model))))
    name_rows(axes, names)
    limit = float(table["high"].fillna(0.0).clip(lower=100.0).max()) * ROOM
    axes.set(xlim=(0, limit), ylim=(len(table) - 0.5, -0.5))
    words = "mean normalised score, 95 % interval (100 = the experts)"
    axes.set_xlabel(words, color=ink("faint"), fontsize=TEXT, loc="left")
    axes.axvline(100, color=ink("faint"), linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    name_colours(board, axes)
    heading = "Mean normalised score of each model"
    title(axes, heading)
    return finish(figure, "means", heading, described(board, table), file=True)


def intervals(board: Leaderboard) -> pd.DataFrame:
    """The means, highest first, and the ends of their intervals; no score is below 0."""
    summary = board.summary.sort_values("mean_normalised", ascending=False, kind="stable")
    value, error = summary["mean_normalised"].astype(float), Z_95 * summary["mean_normalised_stderr"].astype(float)
    low, high = (value - error).clip(lower=0.0), value + error
    return pd.DataFrame({"value": value, "low": low, "high": high.fillna(value)})


def draw_bar(axes: "Axes", row: int, name: str, line: pd.Series, colour: str) -> None:
    """A bar, the line of its interval, and its number beside them."""
    value, low, high = float(line["value"]), float(line["low"]), float(line["high"])
    known = not math.isnan(value)
    text = number(value) if known else "no mean"
    if known:
        words = f"{name}: {text}" + ("" if math.isnan(low) else f", 95 % interval {interval(low, high)}")
        hover(axes.barh(row, value, height=0.72, color=colour)[0], words)
        if not math.isnan(low):
            # on the bar in the colour of the paper too, or it would not be seen there
            for shade, width in (("paper", 3.0), ("ink", 1.2)):
                axes.plot([low, high], [row, row], color=ink(shade), linewidth=width, solid_capstyle="butt")
    look: Look = {"ha": "right" if known else "left", "va": "center_baseline", "fontsize": TEXT, "color": ink("ink")}
    place = axes.get_yaxis_transform()
    axes.annotate(
        text, (1 if known else 0, row), (NUMBER if known else 4, 0), xycoords=place, textcoords="offset points", **look
    )


def colour(board: Leaderboard, name: str) -> str:
    """What a bar's colour says: the kind of model and, for a recipe, whether it is told apart from the first."""
    if board.summary["kind"][name] != "recipe":
        return "model"
    if name in board.leaders:
        return "first"
    return "apart" if board.first is None or board.p_against_first(name) < LEVEL else "near"


def name_colours(board: Leaderboard, axes: "Axes") -> None:
    """Name the colours that occur, below the axis."""
    from matplotlib.patches import Patch

    used = {colour(board, str(name)) for name in board.summary["mean_normalised"].dropna().index}
    words = WORDS if board.first is not None else {**WORDS, "apart": "recipe"}
    handles = [Patch(color=ink(name), label=text) for name, text in words.items() if name in used]
    legend(axes, handles, columns=2)


def described(board: Leaderboard, table: pd.DataFrame) -> str:
    """The first recipes with their intervals, and how far away the base is."""
    parts = []
    for name in board.recipes[:3]:
        value, low, high = (float(table[column][name]) for column in ("value", "low", "high"))
        parts.append(f"{name} {number(value)}" + ("" if math.isnan(low) else f" ({interval(low, high)})"))
    more = len(board.recipes) - len(parts)
    rest = f", and {more} more" if more else ""
    base = number(float(table["value"][board.base]))
    return f"Bars with 95 % intervals, the highest first. Recipes: {listing(parts)}{rest}. The base has {base}."
