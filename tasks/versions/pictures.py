"""Scores by version as lines: a line a recipe, with the points where a model moved and scores really did."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tasks.leaderboard.words import listing, number
from tasks.pictures import Picture
from tasks.pictures.beside import LINE, spread
from tasks.pictures.drawing import SMALL, TEXT, Look, elided, finish, hover, note, panel, paper, style, title
from tasks.pictures.inks import LINES, ink
from tasks.versions.moved import in_words
from tasks.versions.table import Comparison
from tasks.versions.version import MEAN, Version

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMED = 16
"""Of more recipes than these only the best have names and colours."""
DASHES = ("-", (0, (5, 2)))
"""The next kind of line where the colours are used up."""
WIDTH, HEIGHT, GAP = 7.6, 3.0, 0.75
OUTSIDE = 0.3
"""The names of the recipes stand so many inches right of a panel."""
TICKS, LETTERS = 22, 24
"""More versions than these are not all named below the axis, and no name is longer there."""
APART = 0.28
"""Moves have their names above the panel where no two are nearer than so many inches."""
POINTS = 600
"""In a panel of more points than these no point has a marker with its score."""
MOVES = ("base", "expert")
ANGLE = 35


def pictures(comparison: Comparison) -> dict[str, Picture]:
    """The mean scores and, in a panel each, the scores on every benchmark, in no style of the user's own."""
    with style():
        drawn = {"mean": lines(comparison, "mean", [MEAN])}
        if comparison.benchmarks:
            drawn["benchmarks"] = lines(comparison, "benchmarks", comparison.benchmarks)
    return drawn


def lines(comparison: Comparison, name: str, benchmarks: Sequence[str]) -> Picture:
    """Scores by version, a panel for each benchmark."""
    figure = paper(WIDTH, len(benchmarks) * (HEIGHT + GAP) - GAP)
    named, names = named_recipes(comparison), names_of_moves(comparison)
    for position, benchmark in enumerate(benchmarks):
        axes = panel(figure, 0, position * (HEIGHT + GAP), WIDTH, HEIGHT)
        for recipe in reversed(comparison.recipes):
            draw_line(axes, comparison, recipe, benchmark, look_of(recipe, named))
        mark_moves(axes, comparison, names if position == 0 else {})
        name_versions(axes, comparison.versions, named=position == len(benchmarks) - 1)
        name_lines(axes, comparison, named, benchmark)
        heading = "Mean score in percent" if benchmark == MEAN else f"{benchmark}: score in percent"
        title(axes, heading, above=12 if position else above(names))
    if others := len(comparison.recipes) - len(named):
        longest = max(len(version.label[:LETTERS]) for version in comparison.versions)
        note(
            figure.axes[-1],
            f"Grey: the {others} recipes with lower means at the newest version.",
            0.35 + 0.045 * longest,
        )
    heading = "Mean score by version" if name == "mean" else "Score on each benchmark by version"
    return finish(figure, f"versions/{name}", heading, described(comparison, benchmarks), file=False)


def named_recipes(comparison: Comparison) -> list[str]:
    """The recipes that have a colour and their name beside the panel: all of them, or the best of very many."""
    newest = comparison.versions[-1]
    if len(comparison.recipes) <= NAMED:
        return comparison.recipes
    known = [name for name in comparison.recipes if not math.isnan(newest.score(name))]
    return sorted(known, key=newest.score, reverse=True)[:LINES]


def look_of(recipe: str, named: Sequence[str]) -> Look:
    """The colour and the kind of a recipe's line; those that are not named lie below the others."""
    if recipe not in named:
        return {"color": ink("model"), "linewidth": 0.7, "markersize": 2, "zorder": 1.5}
    kinds, place = divmod(named.index(recipe), LINES)
    return {"color": ink(f"line-{place}"), "linestyle": DASHES[kinds], "linewidth": 1.6, "markersize": 3.5}


def draw_line(axes: "Axes", comparison: Comparison, recipe: str, benchmark: str, look: Look) -> None:
    """A line for a recipe, broken where it has no score, with a triangle at each real change."""
    versions = comparison.versions
    in_full = len(versions) * len(comparison.recipes) <= POINTS
    scores = np.array([version.score(recipe, benchmark) for version in versions])
    known = ~np.isnan(scores)
    marked = known if in_full else alone(known)
    (line,) = axes.plot(np.arange(len(versions)), scores, marker="o", markevery=marked, **look)
    words = [f"{recipe} at {versions[at].title}: {number(scores[at])}" for at in np.flatnonzero(known)]
    hover(line, *(words if in_full else [recipe]))
    if look["linewidth"] > 1:
        mark_changes(axes, comparison, recipe, benchmark, look["color"])


def alone(known: np.ndarray) -> np.ndarray:
    """The points that no line leads to, since there is no score before and after them."""
    around = np.pad(known, 1)
    return known & ~around[:-2] & ~around[2:]


def mark_changes(axes: "Axes", comparison: Comparison, recipe: str, benchmark: str, colour: str) -> None:
    """A triangle where a recipe really rose or fell."""
    for place, step in enumerate(comparison.steps, start=1):
        change = step.of(recipe, benchmark)
        if change is None or not (change.rose or change.fell):
            continue
        shape: Look = {"marker": "^" if change.rose else "v", "markersize": 9, "color": colour}
        edge: Look = {"markeredgecolor": ink("paper"), "linestyle": "none", "zorder": 3}
        score = comparison.versions[place].score(recipe, benchmark)
        (mark,) = axes.plot([place], [score], **shape, **edge)
        verb = "rose" if change.rose else "fell"
        hover(mark, f"{recipe} really {verb} at {step.after.title}: {number(change.before)} to {number(change.after)}")


def names_of_moves(comparison: Comparison) -> dict[int, str]:
    """What moved to each version: the base or experts; none where their names have no room side by side."""
    moved = {
        place: [move.name or "base" for move in step.moves if move.kind in MOVES]
        for place, step in enumerate(comparison.steps, start=1)
    }
    texts = {place: ", ".join(names) if len(names) < 3 else f"{len(names)} models" for place, names in moved.items()}
    texts = {place: text for place, text in texts.items() if text}
    nearest = min(np.diff(sorted(texts)), default=len(comparison.versions))
    if nearest * WIDTH / len(comparison.versions) < APART:
        return {}
    return dict(zip(texts, elided(list(texts.values()), LETTERS), strict=True))


def above(names: dict[int, str]) -> float:
    """How far above the panel its heading stands, so that names at an angle have room."""
    longest = max((len(name) for name in names.values()), default=0)
    return 12 + 0.62 * SMALL * longest * math.sin(math.radians(ANGLE))


def mark_moves(axes: "Axes", comparison: Comparison, names: dict[int, str]) -> None:
    """A line across where the base or an expert moved, with their names above if there is room."""
    for place, step in enumerate(comparison.steps, start=1):
        moves = tuple(move for move in step.moves if move.kind in MOVES)
        if not moves:
            continue
        line = axes.axvline(place, color=ink("faint"), linewidth=1, linestyle=(0, (2, 3)), zorder=0)
        hover(line, f"{step.after.title}: {in_words(moves)}")
        if place in names:
            where: Look = {"xycoords": axes.get_xaxis_transform(), "textcoords": "offset points"}
            look: Look = {"rotation": ANGLE, "rotation_mode": "anchor", "fontsize": SMALL, "color": ink("faint")}
            hover(axes.annotate(names[place], (place, 1), (0, 4), **where, **look), in_words(moves))


def name_versions(axes: "Axes", versions: Sequence[Version], *, named: bool) -> None:
    """The versions' names below the axis; of many, some at even distances."""
    stride = -(-len(versions) // TICKS)
    places = range(0, len(versions), stride)
    names = elided([versions[place].label for place in places], LETTERS)
    axes.set_xticks(places, names if named else [""] * len(places))
    for tick in axes.get_xticklabels():
        tick.set(rotation=ANGLE, ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.5, len(versions) - 0.5)
    axes.grid(axis="y", color=ink("line"), linewidth=0.8)


def name_lines(axes: "Axes", comparison: Comparison, named: Sequence[str], benchmark: str) -> None:
    """Recipes' names at the right, each level with its last score if it can be."""
    last = {}
    for recipe in named:
        scores = [version.score(recipe, benchmark) for version in comparison.versions]
        known = [place for place, score in enumerate(scores) if not math.isnan(score)]
        if known:
            last[recipe] = (known[-1], scores[known[-1]])
    low, high = axes.get_ylim()
    right = len(comparison.versions) - 0.5
    outside = right + OUTSIDE * len(comparison.versions) / WIDTH
    places = spread([score for _, score in last.values()], LINE * TEXT / 72 * (high - low) / HEIGHT, low, high)
    shown = elided(list(last), LETTERS)
    for place, short, (recipe, (end, score)) in zip(places, shown, last.items(), strict=True):
        look = {**look_of(recipe, named), "linewidth": 0.8, "zorder": 1}
        axes.plot([end, right, outside], [score, score, place], clip_on=False, alpha=0.6, **look)
        text: Look = {"va": "center_baseline", "fontsize": TEXT, "color": ink("ink")}
        where: Look = {"textcoords": "offset points", "annotation_clip": False}
        hover(axes.annotate(short, (outside, place), (3, 0), **where, **text), recipe)


def described(comparison: Comparison, benchmarks: Sequence[str]) -> str:
    """The newest version's best recipes."""
    newest = comparison.versions[-1]
    best = []
    for benchmark in benchmarks:
        if winners := newest.winners(benchmark):
            what = "mean" if benchmark == MEAN else f"score on {benchmark}"
            best.append(f"the highest {what} is {number(newest.score(winners[0], benchmark))} ({listing(winners[:3])})")
    many = f"{len(comparison.recipes)} recipes at {len(comparison.versions)} versions"
    return f"{many}. At the newest, {newest.title}, {listing(best) or 'nothing is known'}."
