"""What a score costs: mean normalised scores of the recipes against seconds, with the front that none is ahead of."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.load import load_seconds
from tasks.leaderboard.words import interval, listing, number
from tasks.pictures.beside import LINE, spread
from tasks.pictures.drawing import TEXT, Look, elided, finish, hover, legend, note, panel, paper, title
from tasks.pictures.inks import ink
from tasks.pictures.means import intervals
from tasks.pictures.picture import Picture
from tasks.pictures.scales import in_seconds, times

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

WIDTH, HEIGHT, BELOW = 5.4, 3.0, 1.25
OUTSIDE = 0.3
"""The names stand so many inches right of the panel."""
LEAST = 0.01
"""Seconds are recorded to so much."""
TELLING = 2.0
"""Evaluations differ by this factor at least where their seconds say something of the recipes."""
NAMED = 6
CROWD = 12
"""Of more recipes than these, intervals off the front are faint."""
LETTERS = 20


def cost(board: Leaderboard) -> Picture | None:
    """A panel for the seconds of merging and, where they differ, one for those of evaluating; None without any."""
    scores = intervals(board).loc[board.recipes].dropna(subset="value")
    tables = telling(scores)
    if not tables:
        return None
    heights = [max(HEIGHT, len(table) * LINE * TEXT / 72) for table in tables.values()]
    figure = paper(WIDTH, sum(heights) + (len(tables) - 1) * BELOW)
    for place, (what, table) in enumerate(tables.items()):
        axes = panel(figure, 0, sum(heights[:place]) + place * BELOW, WIDTH, heights[place])
        draw(axes, table, what, heights[place])
        if without := [str(name) for name in scores.index if name not in table.index]:
            note(axes, left_out(without), below=0.52)
        title(axes, f"Mean normalised score against seconds to {what}")
    crowd = any(not table["front"].all() for table in tables.values())
    legend(axes, samples(others=crowd), columns=2, handle=2, below=0.78 if without else 0.55)
    heading = "Mean normalised score against cost"
    return finish(figure, "cost", heading, described(tables), file=False)


def telling(scores: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """What there are seconds of; evaluations of like models take alike, and are left out where they do."""
    tables = {what: timed(scores, what) for what in ("merge", "evaluate")}
    seconds = tables["evaluate"]["seconds"]
    if len(seconds) and seconds.max() < TELLING * seconds.min():
        del tables["evaluate"]
    return {what: table for what, table in tables.items() if len(table)}


def timed(scores: pd.DataFrame, what: str) -> pd.DataFrame:
    """The recipes whose seconds are known, the cheapest first, and whether each is on the front."""
    seconds = load_seconds(what, list(scores.index), f"{what}_seconds").clip(lower=LEAST)
    table = scores.assign(seconds=seconds).dropna(subset="seconds")
    table = table.sort_values(["seconds", "value"], ascending=[True, False], kind="stable")
    best = table.groupby("seconds")["value"].max()
    cheaper = best.cummax().shift(fill_value=-1.0)
    value, seconds = table["value"], table["seconds"]
    return table.assign(front=value.eq(seconds.map(best)) & value.gt(seconds.map(cheaper)))


def draw(axes: "Axes", table: pd.DataFrame, what: str, height: float) -> None:
    """Points with their intervals, the front as steps, names at the right."""
    low, high = table["seconds"].min() / 1.5, table["seconds"].max() * 1.5
    bottom, top = float(table["low"].fillna(table["value"]).min()), float(table["high"].max())
    room = max(0.06 * (top - bottom), 1.0)
    axes.set_xscale("log")
    axes.set(xlim=(low, high), ylim=(max(bottom - room, -room), top + room))
    set_ticks(axes, low, high)
    axes.set_xlabel(f"seconds to {what}, logarithmic", color=ink("faint"), fontsize=TEXT, loc="left")
    front = table[table["front"]]
    seconds, values = [*front["seconds"], high], [*front["value"], front["value"].iloc[-1]]
    axes.plot(seconds, values, drawstyle="steps-post", color=ink("front"), linewidth=1.2, zorder=2)
    name_points(axes, table, height)
    for name, line in table.iterrows():
        draw_point(axes, str(name), line, crowded=len(table) > CROWD)


def draw_point(axes: "Axes", name: str, line: pd.Series, *, crowded: bool) -> None:
    """A point and the line of its interval."""
    colour = ink("front" if line["front"] else "near")
    faint = ink("line") if crowded and not line["front"] else colour
    words = f"{name}: {number(line['value'])}"
    if line["low"] < line["high"]:
        words += f", 95 % interval {interval(line['low'], line['high'])}"
        axes.plot([line["seconds"]] * 2, [line["low"], line["high"]], color=faint, linewidth=1, zorder=1.5)
    look: Look = {"color": colour, "markersize": 7, "markeredgecolor": ink("paper"), "markeredgewidth": 1, "zorder": 3}
    (point,) = axes.plot([line["seconds"]], [line["value"]], marker="o", linestyle="none", **look)
    hover(point, f"{words}; {in_seconds(line['seconds'])}")


def name_points(axes: "Axes", table: pd.DataFrame, height: float) -> None:
    """Names at the right with a thin line from each point; by their places, none stands upon another."""
    low, high = axes.get_ylim()
    places = spread(list(table["value"]), LINE * TEXT / 72 * (high - low) / height, low, high)
    left, right = axes.get_xlim()
    outside = right * (right / left) ** (OUTSIDE / WIDTH)
    shown = elided([str(name) for name in table.index])
    for place, name, short, (_, line) in zip(places, table.index, shown, table.iterrows(), strict=True):
        path = ([line["seconds"], right, outside], [line["value"], line["value"], place])
        axes.plot(*path, color=ink("line"), linewidth=0.8, clip_on=False, zorder=1)
        look: Look = {"va": "center_baseline", "fontsize": TEXT, "color": ink("front" if line["front"] else "ink")}
        label = axes.annotate(
            short, (outside, place), (3, 0), textcoords="offset points", annotation_clip=False, **look
        )
        if short != name:
            hover(label, str(name))


def set_ticks(axes: "Axes", low: float, high: float) -> None:
    """Times in the units that one would say them in."""
    from matplotlib.ticker import NullLocator

    ticks = times(low, high)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, [in_seconds(tick) for tick in ticks])


def samples(*, others: bool) -> list["Artist"]:
    """What the colours say."""
    from matplotlib.lines import Line2D

    look: Look = {"marker": "o", "markersize": 6}
    words = {"front": "no recipe is both cheaper and better", "near": "others, with 95 % intervals"}
    lines = {"front": 1.2, "near": 0.0}
    shown = words if others else ("front",)
    return [Line2D([], [], color=ink(name), linewidth=lines[name], label=words[name], **look) for name in shown]


def left_out(names: list[str]) -> str:
    """The recipes that nobody has measured."""
    shown = elided(names, LETTERS)[:NAMED]
    more = [f"{len(names) - len(shown)} more"] if len(names) > len(shown) else []
    return f"No seconds are known of {listing([*shown, *more])}."


def described(tables: Mapping[str, pd.DataFrame]) -> str:
    """The front, from the cheapest recipe to the best one."""
    parts = []
    for what, table in tables.items():
        front = table[table["front"]].iloc[-NAMED:]
        names = [
            f"{name} ({number(line['value'])} in {in_seconds(line['seconds'])})" for name, line in front.iterrows()
        ]
        parts.append(
            f"By seconds to {what}, no recipe of {len(table)} is both cheaper and better than {listing(names)}."
        )
    return " ".join(parts)
