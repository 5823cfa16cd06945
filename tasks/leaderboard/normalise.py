"""Normalised scores and ranks: each benchmark in percent of its declared expert, recipes ranked by the mean."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

Z_95 = 1.959963984540054
KIND_ORDER = {"recipe": 0, "base": 1, "expert": 2}
TIE_DECIMALS = 9
"""Means that agree to this many decimals share a rank: sums in another order differ in the last bits."""


def reference_scores(scores: pd.DataFrame, experts: Mapping[str, str]) -> pd.Series:
    """The declared expert's score on each benchmark.

    Blank where it is not known, and where it is 0, since nothing is a percentage of 0.
    """
    by_model = scores.set_index(["model", "benchmark"])["score"]
    references = {benchmark: by_model.get((expert, benchmark), np.nan) for benchmark, expert in experts.items()}
    return pd.Series(references, dtype=float).replace(0.0, np.nan)


def normalise(scores: pd.DataFrame, experts: Mapping[str, str]) -> pd.DataFrame:
    """Add `normalised` = 100 · score / expert's score and its standard error 100 · stderr / expert's score.

    The expert's score is taken as a fixed yardstick, so the error is that of the model's own score; the expert itself
    has 100 by definition, without an error. Both are blank on a benchmark whose expert scores 0 or has no score.

    Args:
        scores: Rows of model, kind, benchmark, score, stderr.
        experts: Benchmark -> its declared expert.
    """
    reference = scores["benchmark"].map(reference_scores(scores, experts))
    yardstick = scores["model"].eq(scores["benchmark"].map(experts)) & reference.notna()
    errors = 100 * scores["stderr"] / reference
    return scores.assign(normalised=100 * scores["score"] / reference, normalised_stderr=errors.mask(yardstick, 0.0))


def summarise(scores: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """A row for each model: mean score, mean normalised score with its standard error, rank among the recipes.

    The mean runs over the benchmarks whose expert scores above 0, the same ones for every model: one that lacks one of
    them has no mean and no rank. Benchmarks are independent samples of questions, so the error of the mean over B of
    them is √(Σ stderr²) / B.

    Recipes come first, best first, then the base and the experts as they were given; equal means share a rank.

    Args:
        scores: As `normalise` gives them.
        kinds: Every model, measured or not -> base, expert or recipe.
    """
    summary = pd.DataFrame({"kind": pd.Series(kinds, dtype=object)}).rename_axis("model")
    in_mean = scores[scores["normalised"].notna()]
    summary["mean_score"] = of_whole(scores, "mean", "score")
    summary["mean_normalised"] = of_whole(in_mean, "mean", "normalised")
    summary["mean_normalised_stderr"] = of_whole(in_mean, error_of_mean, "normalised_stderr").astype(float)
    recipes = summary["kind"].eq("recipe")
    ranked = summary["mean_normalised"].where(recipes).round(TIE_DECIMALS)
    summary.insert(1, "rank", ranked.rank(ascending=False, method="min").astype("Int64"))
    order = pd.DataFrame({"kind": summary["kind"].map(KIND_ORDER), "rank": summary["rank"].astype(float)})
    return summary.loc[order.sort_values(["kind", "rank"], kind="stable").index]


def of_whole(scores: pd.DataFrame, how: str | Callable[[pd.Series], float], column: str) -> pd.Series:
    """One number for each model that has every benchmark of these scores."""
    by_model = scores.groupby("model")
    return by_model[column].agg(how)[by_model.size() == scores["benchmark"].nunique()]


def error_of_mean(errors: pd.Series) -> float:
    """The standard error of a mean of independent scores; blank when one of them is not known."""
    return float(np.sqrt((errors**2).sum(skipna=False)) / len(errors))
