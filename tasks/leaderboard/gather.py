"""Everything that the tables, the pictures and the report show, computed once."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from tasks.leaderboard import load
from tasks.leaderboard.compare import LEVEL, compare_recipes
from tasks.leaderboard.normalise import normalise, reference_scores, summarise
from tasks.params import Params


@dataclass(frozen=True)
class Leaderboard:
    """Models against benchmarks."""

    scores: pd.DataFrame
    """A row for each model and benchmark: score, stderr, normalised, and how it was measured."""
    summary: pd.DataFrame
    """A row for each model, indexed by it: recipes best first, then the base and the experts."""
    comparisons: pd.DataFrame
    """A row for each pair of recipes, the better one first."""

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
    def best(self) -> str | None:
        """The recipe of rank 1 (of several, the first in params.yaml); None when nothing can be ranked."""
        first = self.recipes[0]
        return None if self.summary["mean_normalised"].isna()[first] else first

    @property
    def against_best(self) -> pd.DataFrame:
        """The comparisons of the best recipe with each other one, indexed by the other."""
        return self.comparisons[self.comparisons["first"] == self.best].set_index("second")

    @property
    def not_told_apart(self) -> list[str]:
        """The recipes that the paired test cannot tell from the best one."""
        adjusted = self.against_best["p_adjusted"]
        return list(adjusted.index[adjusted >= LEVEL])

    @property
    def undefined(self) -> list[str]:
        """The benchmarks without normalised scores, because their expert scores 0."""
        blank = self.scores["normalised"].isna().groupby(self.scores["benchmark"], sort=False).all()
        return list(blank.index[blank])

    def wide(self, column: str) -> pd.DataFrame:
        """One column of `scores` as models (in the order of the summary) × benchmarks."""
        table = self.scores.pivot(index="model", columns="benchmark", values=column)
        return table.loc[list(self.summary.index), self.benchmarks]


def gather(scores: pd.DataFrame, answers: pd.DataFrame, experts: Mapping[str, str]) -> Leaderboard:
    """Normalise, rank and compare.

    Args:
        scores: As `load_scores` gives them.
        answers: As `load_answers` gives them.
        experts: Benchmark -> its declared expert.
    """
    normalised = normalise(scores, experts)
    summary = summarise(normalised)
    best_first = [name for name in summary.index if name in answers.columns]
    comparisons = compare_recipes(answers[best_first], reference_scores(scores, experts))
    return Leaderboard(normalised, summary, comparisons)


def gather_files(params: Params) -> Leaderboard:
    """The leaderboard of the models that params.yaml names.

    Raises:
        WudiError: Scores or samples are missing or broken.
    """
    benchmarks = list(params.evaluation.benchmarks)
    scores = load.load_scores(params.models(), benchmarks)
    answers = load.load_answers(params.recipes, benchmarks)
    return gather(scores, answers, {benchmark: params.expert_in(benchmark) for benchmark in benchmarks})
