"""Everything that the tables, the pictures and the report show, computed once."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from tasks import paths
from tasks.leaderboard.answers import load_answers
from tasks.leaderboard.cautions import cautions
from tasks.leaderboard.compare import LEVEL, RECIPES, compare_models
from tasks.leaderboard.groups import letters, together
from tasks.leaderboard.load import load_scores
from tasks.leaderboard.missing import Missing, find_missing, measured_benchmarks
from tasks.leaderboard.normalise import normalise, reference_scores, summarise
from tasks.leaderboard.outdated import find_outdated
from tasks.leaderboard.strata import MEAN, numbers_of
from wudi.errors import WudiError

if TYPE_CHECKING:  # torch comes with it, for which whoever reads results need not wait
    from tasks.params import Params


@dataclass(frozen=True)
class Leaderboard:
    """Models against benchmarks."""

    benchmarks: Sequence[str]
    """In the order of params.yaml, but for those that no recipe is measured on."""
    scores: pd.DataFrame
    """A row for each model and benchmark that it is measured on: score, stderr, normalised, and how it was measured."""
    summary: pd.DataFrame
    """A row for each model, indexed by it: recipes best first, then the base and the experts; a recipe that lacks a
    benchmark of the mean comes after the ranked ones."""
    comparisons: pd.DataFrame
    """A row for each pair of models and number that they are compared by; of two recipes, the better one is first."""
    warnings: Mapping[str, list[str]]
    """What keeps scores or comparisons from being taken at their word, each with the models that it is about."""
    missing: Sequence[Missing] = ()
    """What a partial leaderboard lacks; nothing of a whole one."""

    @property
    def left_out(self) -> list[str]:
        """The benchmarks that no recipe of a partial leaderboard is measured on."""
        lacking = dict.fromkeys(benchmark for gap in self.missing for benchmark in gap.benchmarks)
        return [benchmark for benchmark in lacking if benchmark not in self.benchmarks]

    @property
    def recipes(self) -> list[str]:
        """The recipes, best first, and last those that cannot be ranked."""
        return list(self.summary.index[self.summary["kind"] == "recipe"])

    @property
    def ranked(self) -> list[str]:
        """The recipes that have a rank, best first."""
        return list(self.summary.index[self.summary["rank"].notna()])

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
        normalised = set(self.scores.loc[self.scores["normalised"].notna(), "benchmark"])
        return [benchmark for benchmark in self.benchmarks if benchmark in normalised]

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
        return [name for name in self.ranked if self.p_against_first(name) >= LEVEL]

    @property
    def not_compared(self) -> list[str]:
        """The ranked recipes that could not be compared with the first one."""
        return [name for name in self.ranked if name != self.first and math.isnan(self.p_against_first(name))]

    def p_against_first(self, name: str) -> float:
        """The adjusted p of the first recipe and another model; blank where they were not compared."""
        return float(self.against_first["p_adjusted"].get(name, math.nan))

    @property
    def groups(self) -> list[list[str]]:
        """The largest sets of ranked recipes that are not told apart, best first; empty when nothing can be ranked."""
        pairs = self.between_recipes
        apart = pairs[pairs["p_adjusted"] < LEVEL]
        names = set(zip(apart["first"], apart["second"], strict=True))
        return [] if self.first is None else together(self.ranked, names)

    @property
    def letters(self) -> dict[str, str]:
        """The letters of each ranked recipe: two share one if and only if they are not told apart."""
        return letters(self.groups)

    def wide(self, column: str) -> pd.DataFrame:
        """One column of `scores`: models, in the order of the summary, × benchmarks; blank where there is no score."""
        table = self.scores.pivot(index="model", columns="benchmark", values=column)
        return table.reindex(index=list(self.summary.index), columns=list(self.benchmarks))


def gather(
    scores: pd.DataFrame,
    answers: pd.DataFrame,
    experts: Mapping[str, str],
    kinds: Mapping[str, str] | None = None,
    missing: Sequence[Missing] = (),
) -> Leaderboard:
    """Normalise, rank, compare and warn.

    Args:
        scores: As `load_scores` gives them.
        answers: As `load_answers` gives them.
        experts: Benchmark -> its declared expert.
        kinds: Every model -> base, expert or recipe, where some have no scores.
        missing: What is not there, of a partial leaderboard.
    """
    names = dict(kinds or zip(scores["model"], scores["kind"], strict=True))
    normalised = normalise(scores, experts)
    summary = summarise(normalised, names)
    by_model = scores.pivot(index="benchmark", columns="model", values="score")
    compared = answers[[name for name in summary.index if name in answers]]
    numbers = numbers_of(compared, by_model, reference_scores(scores, experts))
    comparisons = compare_models(numbers, names)
    warnings = cautions(scores, numbers, comparisons, experts, names, missing)
    return Leaderboard(list(experts), normalised, summary, comparisons, warnings, missing)


def gather_files(params: "Params", *, partial: bool = False) -> Leaderboard:
    """The leaderboard of the models that params.yaml names.

    Args:
        params: What params.yaml says.
        partial: Whether scores and samples may be missing.

    Raises:
        WudiError: Scores or samples are broken or, unless it is partial, missing; or no recipe has a score.
    """
    kinds, benchmarks = params.models(), list(params.evaluation.benchmarks)
    if partial:
        return gather_partial(params, kinds, benchmarks)
    scores = load_scores(kinds, benchmarks)
    answers = load_answers(kinds, benchmarks)
    return gather(scores, answers, {benchmark: params.expert_in(benchmark) for benchmark in benchmarks}, kinds)


def gather_partial(params: "Params", kinds: Mapping[str, str], benchmarks: Sequence[str]) -> Leaderboard:
    """The leaderboard of what is there, without the benchmarks that no recipe is measured on."""
    outdated = find_outdated(params)
    scores = load_scores(kinds, benchmarks, partial=True)
    measured = pd.MultiIndex.from_frame(scores[["model", "benchmark"]])
    scores = scores[~measured.isin(outdated)]
    used = measured_benchmarks(scores, benchmarks)
    if not used:
        raise WudiError(
            f"{paths.SCORES}: no recipe of params.yaml is measured on any benchmark, so there is no leaderboard yet, "
            "not even a partial one; make it with: dvc repro --keep-going"
        )
    answers = load_answers(kinds, benchmarks, set(zip(scores["model"], scores["benchmark"], strict=True)))
    missing = find_missing(kinds, benchmarks, scores, answers, outdated)
    shown = scores[scores["benchmark"].isin(used)]
    experts = {benchmark: params.expert_in(benchmark) for benchmark in used}
    return gather(shown, answers.loc[answers.index.isin(used, level="benchmark")], experts, kinds, missing)
