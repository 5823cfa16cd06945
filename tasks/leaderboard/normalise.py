"""Normalised scores and ranks: each benchmark in percent of its declared expert, recipes ranked by the mean."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

Z_95 = 1.959963984540054
KIND_ORDER = {"recipe": 0, "base": 1, "expert": 2}
TIE_DECIMALS = 9
"""Means that agree to this many decimals share a rank: sums in another order differ in the last bits."""


def reference_scores(scores: pd.DataFrame, experts: Mapping[str, str]) -> pd.Series:
    """The declared expert's score on each benchmark; blank where it is 0, since nothing is a percentage of 0."""
    by_model = scores.set_index(["model", "benchmark"])["score"]
    references = pd.Series({benchmark: by_model[(expert, benchmark)] for benchmark, expert in experts.items()})
    return references.astype(float).replace(0.0, np.nan)


def normalise(scores: pd.DataFrame, experts: Mapping[str, str]) -> pd.DataFrame:
    """Add `normalised` = 100 · score / expert's score and its standard error 100 · stderr / expert's score.

    The expert's score is taken as a fixed yardstick, so the error is that of the model's own score; the expert itself
    has 100 by definition, without an error. Both are blank on a benchmark whose expert scores 0.

    Args:
        scores: Rows of model, kind, benchmark, score, stderr.
        experts: Benchmark -> its declared expert.
    """
    reference = scores["benchmark"].map(reference_scores(scores, experts))
    yardstick = scores["model"].eq(scores["benchmark"].map(experts)) & reference.notna()
    errors = 100 * scores["stderr"] / reference
    return scores.assign(normalised=100 * scores["score"] / reference, normalised_stderr=errors.mask(yardstick, 0.0))


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """A row for each model: mean score, mean normalised score with its standard error, rank among the recipes.

    The mean runs over the benchmarks whose expert scores above 0, the same ones for every model. Benchmarks are
    independent samples of questions, so the error of the mean over B of them is √(Σ stderr²) / B.

    Recipes come first, best first, then the base and the experts as they were given; equal means share a rank.
    """
    by_model = scores.groupby("model", sort=False)
    in_mean = scores[scores["normalised"].notna()].groupby("model")
    summary = pd.DataFrame(
        {
            "kind": by_model["kind"].first(),
            "mean_score": by_model["score"].mean(),
            "mean_normalised": by_model["normalised"].mean(),
        }
    )
    summary["mean_normalised_stderr"] = in_mean["normalised_stderr"].agg(error_of_mean).astype(float)
    recipes = summary["kind"].eq("recipe")
    ranked = summary["mean_normalised"].where(recipes).round(TIE_DECIMALS)
    summary.insert(1, "rank", ranked.rank(ascending=False, method="min").astype("Int64"))
    order = pd.DataFrame({"kind": summary["kind"].map(KIND_ORDER), "rank": summary["rank"].astype(float)})
    return summary.loc[order.sort_values(["kind", "rank"], kind="stable").index]


def error_of_mean(errors: pd.Series) -> float:
    """The standard error of a mean of independent scores; blank when one of them is not known."""
    return float(np.sqrt((errors**2).sum(skipna=False)) / len(errors))
