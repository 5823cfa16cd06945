"""Everything that the tables, the pictures and the report show, computed once."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from tasks.leaderboard import load
from tasks.leaderboard.cautions import cautions
from tasks.leaderboard.compare import LEVEL, RECIPES, compare_models
from tasks.leaderboard.groups import letters, together
from tasks.leaderboard.normalise import normalise, reference_scores, summarise
from tasks.leaderboard.strata import MEAN, numbers_of

if TYPE_CHECKING:  # torch comes with it, for which whoever reads results need not wait
    from tasks.params import Params


@dataclass(frozen=True)
class Leaderboard:
    """Models against benchmarks."""

    scores: pd.DataFrame
    """A row for each model and benchmark: score, stderr, normalised, and how it was measured."""
    summary: pd.DataFrame
    """A row for each model, indexed by it: recipes best first, then the base and the experts."""
    comparisons: pd.DataFrame
    """A row for each pair of models and number that they are compared by; of two recipes, the better one is first."""
    warnings: Mapping[str, list[str]]
    """What keeps scores or comparisons from being taken at their word, each with the models that it is about."""

    @property
    def benchmarks(self) -> list[str]:
        """The benchmarks, in the order of params.yaml."""
        return list(self.scores["benchmark"].unique())

    @property
    def recipes(self) -> list[str]:
        """The recipes, best first."""
        return list(self.summary.index[self.summary["kind"] == "recipe"])

    @property
    def experts(self) -> list[str]:
        """The experts, in the order of params.yaml."""
        return list(self.summary.index[self.summary["kind"] == "expert"])

    @property
    def base(self) -> str:
        """The base."""
        return str(self.summary.index[self.summary["kind"] == "base"][0])

    @property
    def benchmarks_in_mean(self) -> list[str]:
        """The benchmarks whose expert scores above 0: what the mean normalised score is the mean of."""
        return list(self.scores.loc[self.scores["normalised"].notna(), "benchmark"].unique())

    @property
    def leaders(self) -> list[str]:
        """The recipes of rank 1, in the order of params.yaml; none when nothing can be ranked."""
        return list(self.summary.index[(self.summary["rank"] == 1).fillna(value=False)])

    @property
    def first(self) -> str | None:
        """The recipe of rank 1 (of several, the first in params.yaml); None when nothing can be ranked."""
        return self.leaders[0] if self.leaders else None

    @property
    def between_recipes(self) -> pd.DataFrame:
        """The comparisons of mean normalised scores of each two recipes, the better one first."""
        return self.comparisons[self.comparisons["family"] == RECIPES]

    @property
    def against_first(self) -> pd.DataFrame:
        """The comparisons of the first recipe's mean normalised score with that of each other model, indexed by it."""
        by_mean = self.comparisons[self.comparisons["benchmark"] == MEAN]
        return by_mean[by_mean["first"] == self.first].set_index("second")

    @property
    def not_told_apart(self) -> list[str]:
        """The recipes that the paired test cannot tell from the first one."""
        return [name for name in self.recipes if self.p_against_first(name) >= LEVEL]

    @property
    def not_compared(self) -> list[str]:
        """The recipes that could not be compared with the first one."""
        return [name for name in self.recipes if name != self.first and math.isnan(self.p_against_first(name))]

    def p_against_first(self, name: str) -> float:
        """The adjusted p of the first recipe and another model; blank where they were not compared."""
        return float(self.against_first["p_adjusted"].get(name, math.nan))

    @property
    def groups(self) -> list[list[str]]:
        """The largest sets of recipes that are not told apart, best first; empty when nothing can be ranked."""
        pairs = self.between_recipes
        apart = pairs[pairs["p_adjusted"] < LEVEL]
        names = set(zip(apart["first"], apart["second"], strict=True))
        return [] if self.first is None else together(self.recipes, names)

    @property
    def letters(self) -> dict[str, str]:
        """The letters of each recipe: two share one if and only if they are not told apart."""
        return letters(self.groups)

    def wide(self, column: str) -> pd.DataFrame:
        """One column of `scores` as models (in the order of the summary) × benchmarks."""
        table = self.scores.pivot(index="model", columns="benchmark", values=column)
        return table.loc[list(self.summary.index), self.benchmarks]


def gather(scores: pd.DataFrame, answers: pd.DataFrame, experts: Mapping[str, str]) -> Leaderboard:
    """Normalise, rank, compare and warn.

    Args:
        scores: As `load_scores` gives them.
        answers: As `load_answers` gives them.
        experts: Benchmark -> its declared expert.
    """
    normalised = normalise(scores, experts)
    summary = summarise(normalised)
    by_model = scores.pivot(index="benchmark", columns="model", values="score")
    numbers = numbers_of(answers[list(summary.index)], by_model, reference_scores(scores, experts))
    comparisons = compare_models(numbers, {str(name): str(kind) for name, kind in summary["kind"].items()})
    return Leaderboard(normalised, summary, comparisons, cautions(scores, numbers, comparisons, experts))


def gather_files(params: "Params") -> Leaderboard:
    """The leaderboard of the models that params.yaml names.

    Raises:
        WudiError: Scores or samples are missing or broken.
    """
    benchmarks = list(params.evaluation.benchmarks)
    scores = load.load_scores(params.models(), benchmarks)
    answers = load.load_answers(params.models(), benchmarks)
    return gather(scores, answers, {benchmark: params.expert_in(benchmark) for benchmark in benchmarks})
