"""What changed since the last version in one sentence: what moved, and what became of the recipe that ranks first."""

import math
from collections.abc import Sequence

from tasks.leaderboard.words import listing, number
from tasks.versions.change import SAME, Change
from tasks.versions.differences import Differences
from tasks.versions.measure import same_score
from tasks.versions.moved import phrases
from tasks.versions.past import NOW, Past
from tasks.versions.sentences import came_and_went, described, some
from tasks.versions.version import MEAN, Version

NAMED = 3
"""More things that moved than these are counted."""
TIE = 0.01
"""Mean normalised scores this close are equal: results/leaderboard.csv has them rounded."""


def headline(past: Past, leaders: Sequence[str]) -> str:
    """The sentence.

    Args:
        past: A run beside the versions before it.
        leaders: The recipes that rank first in it; none where nothing can be ranked.
    """
    if past.step is None:
        last = next(name for name in reversed(past.before.names) if name != NOW)
        return f"Nothing moved since {last}: the same models, recipes and scores."
    parts = [what_moved(past.step), *([of_first(past.step, leaders)] if leaders else [])]
    return f"Since {past.before.until}: {'; '.join(parts)}."


def what_moved(step: Differences) -> str:
    """What moved, the first of it by name; where nothing did, what is otherwise all the same."""
    parts = phrases(step.moves)
    if not parts:
        return f"nothing moved, but {came_and_went(step).removesuffix('.') or 'scores did'}"
    rest = len(parts) - NAMED
    return ", ".join(parts) if rest <= 0 else f"{', '.join(parts[:NAMED])} and {rest} more"


def of_first(step: Differences, leaders: Sequence[str]) -> str:
    """Whether the recipe that ranks first did before too, and whether it really rose or fell."""
    before = leaders_of(step.before)
    still = next((name for name in leaders if name in before), None)
    first = still or leaders[0]
    place = "still first" if still else f"now first in place of {some(before)}" if before else "which ranks first"
    change = step.of(first)
    real = [found for found in step.changes if found.recipe == first and found.told_apart]
    real = [found for found in real if found.benchmark == MEAN] or real
    return f"{first}, {place}, {told(real) if real else 'is new' if change is None else quiet(change)}"


def told(changes: Sequence[Change]) -> str:
    """What really rose or fell of one recipe."""
    return listing([f"{'rose' if change.rose else 'fell'} {described(change)}" for change in changes])


def quiet(change: Change) -> str:
    """A mean score that did not really change, or of which nobody knows."""
    if math.isnan(change.difference):
        return f"cannot be compared with what it was ({change.reason})"
    if change.reason == SAME:
        return "answers every question that was asked in both as before"
    scores = f"in mean score, {number(change.before)} before and {number(change.after)} now"
    if change.tested:
        return f"cannot be told apart {scores}"
    return f"{'stayed' if same_score(change.before, change.after) else 'moved'} {scores}, untested: {change.reason}"


def leaders_of(version: Version) -> list[str]:
    """The recipes with the highest mean normalised score of a version; none where these are not known."""
    known = version.summary.loc[version.recipes, "normalised"].dropna().astype(float)
    return [str(name) for name in known.index[known >= known.max() - TIE]]
