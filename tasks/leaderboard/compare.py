"""Which differences between models are real: paired tests over the same questions (docs/statistics.md).

Two models answer the same questions, so what counts is the questions on which they differ. Write d for the difference
of their verdicts (1, 0 or -1) on a question of benchmark b, with n_b questions and the expert's score E_b. The
difference of two mean normalised scores over B benchmarks is

    D = Σ_b Σ_{q in b} u_b · d_q,        u_b = 100 / (B · E_b · n_b)

The difference on one benchmark has McNemar's exact test [McNemar 1947]. D has a sign-flip test of the very number that
ranks the recipes. Flipping signs is exact where neither model is better on any benchmark. Recipes that trade benchmarks
off may have the same mean without that; then flipped signs spread D at least as far as new questions would, so that
the test holds for the mean too, if every benchmark shows its spread. A small one on which by luck nothing differs would
show none, as if it were certain. So every benchmark, or every task where tasks count alike, gets two questions more,
one for each model: D stays what it is, and no spread is 0 [after Agresti & Min 2005]. Intervals come from the bootstrap
over questions [Efron & Tibshirani 1993].

The best recipe is chosen by the same data that it is then tested on. So p values are adjusted by Holm [1979] over every
pair of a family, not only those with the best: whichever recipe comes out on top, the chance of one false "told apart"
in the whole table stays below 5 %. Pairs of recipes are a family of their own, so that the base and the experts, which
nobody ranks, do not make the test of the recipes weaker; so are the recipes beside the base, which say whether merging
gained anything; and so are the scores, which are many, apart from D.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from tasks.leaderboard.intervals import intervals
from tasks.leaderboard.sign_flip import DIGITS, sign_flip_p
from tasks.leaderboard.strata import MEAN, Numbers

LEVEL = 0.05
RECIPES, AGAINST_BASE, EXPERTS = "recipes", "recipes with base", "with experts"
"""The families of D; those of the scores are named after them."""
COLUMNS = {
    **dict.fromkeys(("family", "first", "second", "benchmark"), "str"),
    **dict.fromkeys(("difference", "low", "high"), "float"),
    **dict.fromkeys(("questions", "first_only", "second_only"), "int"),
    "p": "float",
    "test": "str",
}


def compare_models(numbers: Numbers, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Compare every two models by each number: a row each, the pairs in the order of the models.

    Columns: `difference` of first − second, in points of 100, with its 95 % interval `low` to `high`, of one comparison
    by itself (not adjusted); `first_only` and `second_only`, on how many of the `questions` only the one, or the one
    more than the other, is right; `p` of the `test`, and `p_adjusted` over the family, which decides. Blank is what
    cannot be compared, as where one of the two lacks a benchmark.

    Args:
        numbers: What to compare the models by.
        kinds: Model -> base, expert or recipe.
    """
    pairs = list(combinations(range(len(numbers.models)), 2))
    first, second = (np.array([pair[side] for pair in pairs], dtype=np.intp) for side in (0, 1))
    estimates = numbers.estimates().to_numpy()
    lows, highs = intervals(numbers, first, second)
    rows = []
    for row, name in enumerate(numbers.weights.index):
        for column, (one, other) in enumerate(pairs):
            names = {"first": numbers.models[one], "second": numbers.models[other]}
            rows.append(
                {
                    "family": family([kinds[model] for model in names.values()], name),
                    **names,
                    "benchmark": name,
                    "difference": estimates[row, one] - estimates[row, other],
                    "low": lows[row, column],
                    "high": highs[row, column],
                    **paired_test(numbers, row, one, other),
                }
            )
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    return table.assign(p_adjusted=table.groupby("family")["p"].transform(holm).astype(float))


def family(kinds: list[str], name: str) -> str:
    """The comparisons that one is adjusted with."""
    groups = {("recipe", "recipe"): RECIPES, ("base", "recipe"): AGAINST_BASE}
    group = groups.get((min(kinds), max(kinds)), EXPERTS)
    return group if name == MEAN else f"{group}, by benchmark"


def paired_test(numbers: Numbers, row: int, first: int, second: int) -> dict[str, Any]:
    """Whether one number of two models differs: the questions that decide, p, and by which test; blank where it is."""
    weights = numbers.weights.iloc[row]
    counted = {
        stratum: (weight / verdicts.shape[1], verdicts[first] - verdicts[second])
        for (stratum, weight), verdicts in zip(weights.items(), numbers.verdicts, strict=True)
        if weight
    }
    difference = np.concatenate([np.empty(0), *(differences for _, differences in counted.values())])
    difference = difference[~np.isnan(difference)]  # what both have answered
    wins, losses = int((difference > 0).sum()), int((difference < 0).sum())
    found = {"questions": len(difference), "first_only": wins, "second_only": losses}
    if not numbers.known.to_numpy()[row, [first, second]].all():
        return {**found, "p": np.nan, "test": ""}
    units = distinct_units({stratum: unit for stratum, (unit, _) in counted.items()})
    if numbers.weights.index[row] != MEAN and len(units) == 1 and np.isin(difference, (-1, 0, 1)).all():
        return {**found, "p": mcnemar_p(wins, losses), "test": "McNemar"}
    weighted = np.concatenate([unit * differences for unit, differences in counted.values()])
    added = [*units, *(-unit for unit in units)] if len(units) > 1 else []
    return {**found, "p": sign_flip_p(np.concatenate([weighted, added])), "test": "sign flip"}


def distinct_units(units: Mapping[Any, float]) -> list[float]:
    """What a question counts on each benchmark, task by task where that differs within it.

    Args:
        units: (benchmark, task) -> what one of its questions counts.
    """
    found = {(benchmark, f"{unit:.{DIGITS}g}"): unit for (benchmark, _), unit in units.items()}
    return list(found.values())


def mcnemar_p(wins: int, losses: int) -> float:
    """McNemar's exact test; the questions that both or neither got right do not matter."""
    from statsmodels.stats.contingency_tables import mcnemar

    return float(mcnemar([[0, wins], [losses, 0]], exact=True).pvalue)


def holm(p_values: pd.Series) -> pd.Series:
    """Holm's step-down adjustment of the known p values; the blank ones stay blank and do not count."""
    # statsmodels has it too, but collects all garbage at each call, which is most of the time over many versions
    known = p_values.dropna().sort_values()
    steps = known.to_numpy(np.float64) * np.arange(len(known), 0, -1)
    return pd.Series(np.minimum(np.maximum.accumulate(steps), 1.0), known.index).reindex(p_values.index)
