"""Two models of two versions compared over the same questions, by the mean score and on each benchmark.

Scores are taken as they are and each benchmark counts alike in the mean. Normalised scores would not do: the experts
that normalise them may have moved too. The tests are the leaderboard's (docs/statistics.md).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from tasks.leaderboard.compare import holm, paired_test
from tasks.leaderboard.intervals import intervals
from tasks.leaderboard.strata import MEAN as ALL
from tasks.leaderboard.strata import Numbers, numbers_of
from tasks.versions.change import (
    COMPARABLE,
    NO_ANSWERS,
    NO_MEAN_OF_VERDICTS,
    NOT_MEASURED,
    ONLY_MEANS,
    OTHER_QUESTIONS,
    SAME,
    Change,
)
from tasks.versions.measure import asked_otherwise
from tasks.versions.verdicts import Verdicts
from tasks.versions.version import MEAN, Version


@dataclass(frozen=True)
class Pair:
    """Two models, and what they can be compared on."""

    earlier: str
    later: str
    changes: Mapping[str, Change]
    """On each benchmark, not tested yet."""
    verdicts: Mapping[str, tuple[Verdicts, Verdicts]]
    """Of the benchmarks to be tested."""

    @property
    def questions(self) -> tuple[tuple[str, str], ...]:
        """What identifies the questions to be tested on."""
        return tuple((benchmark, both[0].questions) for benchmark, both in self.verdicts.items())

    def tests(self, name: str, tests: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
        """The test of a number; none where all verdicts are the same, so that it makes other tests no weaker."""
        both = self.verdicts.values() if name == MEAN else [self.verdicts[name]] if name in self.verdicts else []
        return {"reason": SAME} if both and all(one.same(other) for one, other in both) else tests.get(name, {})


def compare_pairs(
    before: Version, after: Version, models: Sequence[tuple[str, str]], *, with_intervals: bool = True
) -> list[Change]:
    """Compare models of two versions: of each pair the mean first, then every benchmark of either version.

    p values are adjusted by Holm: the means are a family of their own, and so are all scores.

    Args:
        before: The earlier version.
        after: The later version.
        models: Pairs of a model of the earlier and one of the later version.
        with_intervals: Whether intervals are computed, which takes most of the time.

    Raises:
        WudiError: A file of answers is broken.
    """
    pairs = [pair_of(before, after, earlier, later) for earlier, later in models]
    found: dict[tuple[str, str], list[Change]] = {}
    for _, alike in groupby(sorted(pairs, key=lambda pair: pair.questions), key=lambda pair: pair.questions):
        group = list(alike)
        tests = tested(before, after, group, with_intervals=with_intervals) if group[0].verdicts else {}
        for number, pair in enumerate(group):
            own = {name: values for (position, name), values in tests.items() if position == number}
            found[pair.earlier, pair.later] = changes_of(before, after, pair, own)
    return adjusted([change for both in models for change in found[both]])


def pair_of(before: Version, after: Version, earlier: str, later: str) -> Pair:
    """What two models can be compared on."""
    changes: dict[str, Change] = {}
    verdicts: dict[str, tuple[Verdicts, Verdicts]] = {}
    either = [*before.benchmarks, *after.benchmarks] if before.benchmarks and after.benchmarks else []
    for benchmark in dict.fromkeys(either):
        scores = before.score(earlier, benchmark), after.score(later, benchmark)
        reason = f"{benchmark}: {NOT_MEASURED}" if any(map(math.isnan, scores)) else ""
        reason = reason or asked_otherwise(before, after, (earlier, later), benchmark)
        if not reason:
            reason, both = answers_of(before, after, (earlier, later), benchmark)
            verdicts |= {} if both is None else {benchmark: both}
        changes[benchmark] = Change(later, earlier, benchmark, (benchmark,), *scores, reason=reason)
    return Pair(earlier, later, changes, verdicts)


def answers_of(
    before: Version, after: Version, models: tuple[str, str], benchmark: str
) -> tuple[str, tuple[Verdicts, Verdicts] | None]:
    """The verdicts on both models, or why there is nothing to test."""
    one, other = before.verdicts(models[0], benchmark), after.verdicts(models[1], benchmark)
    if one is None or other is None:
        return NO_ANSWERS, None
    return ("", (one, other)) if one.questions == other.questions else (f"{benchmark}: {OTHER_QUESTIONS}", None)


def tested(
    before: Version, after: Version, pairs: Sequence[Pair], *, with_intervals: bool
) -> dict[tuple[int, str], dict[str, Any]]:
    """The tests of pairs that answered the same questions, by position and benchmark; `mean`: over all of them."""
    numbers = numbers_for(before, after, pairs)
    earlier, later = np.arange(len(pairs)) * 2, np.arange(len(pairs)) * 2 + 1
    blank = np.full((len(numbers.weights), len(pairs)), math.nan)
    lows, highs = intervals(numbers, later, earlier) if with_intervals else (blank, blank)
    return {
        (position, MEAN if name == ALL else str(name)): {
            **renamed(paired_test(numbers, row, int(later[position]), int(earlier[position]))),
            "low": float(lows[row, position]),
            "high": float(highs[row, position]),
        }
        for row, name in enumerate(numbers.weights.index)
        for position in range(len(pairs))
    }


def numbers_for(before: Version, after: Version, pairs: Sequence[Pair]) -> Numbers:
    """The mean and the scores of the models as means of verdicts: two columns a pair, the earlier model first."""
    benchmarks = list(pairs[0].verdicts)
    columns = {
        f"{number} {side}": np.concatenate([pair.verdicts[benchmark][side].correct for benchmark in benchmarks])
        for number, pair in enumerate(pairs)
        for side in (0, 1)
    }
    asked = [pairs[0].verdicts[benchmark][0] for benchmark in benchmarks]
    levels = [
        np.repeat(benchmarks, [len(verdicts.rows) for verdicts in asked]),
        np.concatenate([verdicts.task_names for verdicts in asked]),
        np.concatenate([verdicts.rows["question"] for verdicts in asked]),
    ]
    index = pd.MultiIndex.from_arrays(levels, names=["benchmark", "task", "question"])
    scores = {
        f"{number} {side}": [version.score(model, benchmark) / 100 for benchmark in benchmarks]
        for number, pair in enumerate(pairs)
        for side, (version, model) in enumerate(((before, pair.earlier), (after, pair.later)))
    }
    alike = pd.Series(1.0, index=benchmarks)
    return numbers_of(pd.DataFrame(columns, index), pd.DataFrame(scores, benchmarks), alike)


def renamed(found: Mapping[str, Any]) -> dict[str, Any]:
    """A paired test of the later model against the earlier one, in the words of a change."""
    reason = "" if found["test"] else NO_MEAN_OF_VERDICTS
    kept = {name: found[name] for name in ("questions", "p", "test")}
    return {**kept, "gained": found["first_only"], "lost": found["second_only"], "reason": reason}


def changes_of(before: Version, after: Version, pair: Pair, tests: Mapping[str, Mapping[str, Any]]) -> list[Change]:
    """The mean and every benchmark of a pair, with the tests that there are."""
    own = {name: pair.tests(name, tests) for name in pair.changes}
    by_benchmark = {name: replace(change, **own[name]) for name, change in pair.changes.items()}
    in_mean = [change for change in by_benchmark.values() if change.reason in COMPARABLE]
    names = tuple(change.benchmark for change in in_mean)
    one, other = before.score(pair.earlier), after.score(pair.later)
    reason = "; ".join(dict.fromkeys(change.reason for change in by_benchmark.values() if change.reason))
    if by_benchmark:
        one, other = (mean_of([getattr(change, side) for change in in_mean]) for side in ("before", "after"))
    mean = Change(pair.later, pair.earlier, MEAN, names, one, other)
    found = pair.tests(MEAN, tests) if names and set(names) == set(pair.verdicts) else {"reason": reason or ONLY_MEANS}
    return [replace(mean, **found), *by_benchmark.values()]


def mean_of(scores: Sequence[float]) -> float:
    """The mean; blank where there is nothing."""
    return sum(scores) / len(scores) if scores else math.nan


def adjusted(changes: Sequence[Change]) -> list[Change]:
    """Changes with their p values adjusted: the means as one family, the scores as another."""
    p = pd.Series([change.p for change in changes], dtype=float)
    means = pd.Series([change.benchmark == MEAN for change in changes], dtype=bool)
    values = holm(p[means]).combine_first(holm(p[~means]))
    return [replace(change, p_adjusted=float(values[number])) for number, change in enumerate(changes)]
