"""The best recipe of any version, among those that were measured as the newest version was."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.versions.change import Change
from tasks.versions.measure import asked_otherwise
from tasks.versions.pairs import compare_pairs
from tasks.versions.version import Version

DECIMALS = 9
"""Scores that agree to so many are equal: sums in another order differ in the last bits."""


@dataclass(frozen=True, eq=False)
class Best:
    """A recipe at a version."""

    version: Version
    recipe: str
    score: float
    """Its mean score over the newest version's benchmarks, in percent."""


@dataclass(frozen=True, eq=False)
class NewBest:
    """A recipe that scores higher than every earlier version's."""

    now: Best
    earlier: Best
    """The best of all before it."""
    change: Change
    """The paired comparison of the two."""

    @property
    def told_apart(self) -> bool:
        """Whether the difference is real; False where it could not be tested."""
        return self.change.told_apart


def best(versions: Sequence[Version]) -> Best | None:
    """The recipe with the highest mean score of all versions, the earliest of equal ones.

    Versions in which a recipe was asked other questions than the newest version's, or fewer, are passed over.

    Args:
        versions: In their order; the last one is the newest.
    """
    return best_among(versions, versions[-1]) if versions else None


def new_best(after: Version, earlier: Sequence[Version]) -> NewBest | None:
    """What the newest version's best recipe is ahead of; None where it is not ahead, or there is nothing to beat.

    Raises:
        WudiError: A file of answers is broken.
    """
    now, before = best([after]), best_among(earlier, after)
    if now is None or before is None or round(now.score - before.score, DECIMALS) <= 0:
        return None
    change = compare_pairs(before.version, after, [(before.recipe, now.recipe)])[0]
    return NewBest(now, before, change)


def best_among(versions: Sequence[Version], newest: Version) -> Best | None:
    """The best recipe of some versions, measured as the newest one was; the earliest of equal ones."""
    found = [of_version for version in versions if (of_version := best_of(version, newest))]
    return max(found, key=lambda candidate: round(candidate.score, DECIMALS), default=None)


def best_of(version: Version, newest: Version) -> Best | None:
    """The best recipe of a version, among those that were measured as the newest version's recipes were."""
    scores = {recipe: score_as(version, recipe, newest) for recipe in version.recipes}
    known = {recipe: score for recipe, score in scores.items() if not math.isnan(score)}
    if not known:
        return None
    recipe = max(known, key=known.__getitem__)
    return Best(version, recipe, known[recipe])


def score_as(version: Version, recipe: str, newest: Version) -> float:
    """A recipe's mean score over the newest version's benchmarks; blank where it was asked otherwise."""
    if not newest.benchmarks:
        return version.score(recipe) if version is newest else math.nan
    other = next((name for name in newest.recipes if (name, newest.benchmarks[0]) in newest.cells), None)
    total = 0.0
    for benchmark in newest.benchmarks:
        if other is None or (recipe, benchmark) not in version.cells or (other, benchmark) not in newest.cells:
            return math.nan
        if asked_otherwise(version, newest, (recipe, other), benchmark):
            return math.nan
        total += version.score(recipe, benchmark)
    return total / len(newest.benchmarks)
