"""Which differences between recipes are real: a paired test over the same questions.

Two recipes answer the same questions, so what counts is the questions on which they differ. Write d for the
difference in correctness (1, 0 or -1) on a question of benchmark b, with n_b questions and the expert's score E_b.
The difference of two mean normalised scores over B benchmarks is

    D = Σ_b Σ_{q in b} u_b · d_q,        u_b = 100 / (B · E_b · n_b)

If neither recipe is the better one, each d is as likely to have either sign. Flipping all signs independently gives
D its exact distribution, and p is the chance of a |D| at least as large as the one seen. With one benchmark, or
equal weights, this is McNemar's exact test; with unequal ones it tests the very number that ranks the recipes,
where pooled counts would answer for the largest benchmark.

The best recipe is chosen by the same data that it is then tested on. So p values are adjusted by Holm over every
pair of recipes, not only those with the best: whichever recipe comes out on top, the chance of one false
"told apart" in the whole table stays below 5 %.
"""

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

LEVEL = 0.05
Z_95 = 1.959963984540054
EXACT_SUPPORT = 100_000
"""Beyond this many sums in a half, hundreds of questions differ and D's normal limit gives the same p to two digits."""

Floats = npt.NDArray[np.float64]


def compare_recipes(answers: pd.DataFrame, reference: pd.Series) -> pd.DataFrame:
    """Compare every pair of recipes: difference of mean normalised scores, 95 % interval, p, Holm-adjusted p.

    The interval is normal, of one comparison by itself (not adjusted), with the variance Σ_b (u_b n_b)² s²_b / n_b
    of the paired differences; it describes the size, `p_adjusted` decides.

    Args:
        answers: Rows (benchmark, task, question), a column a recipe, best first: `first` is then never behind.
        reference: The expert's score on each benchmark; blank ones are left out.
    """
    defined = reference.dropna()
    benchmark = answers.index.get_level_values("benchmark")
    kept = answers[benchmark.isin(defined.index)]
    benchmark = kept.index.get_level_values("benchmark")
    questions = pd.Series(benchmark).value_counts()
    unit = 100 / (len(defined) * defined * questions) if len(defined) else defined
    weights = unit.reindex(benchmark).to_numpy(np.float64)

    rows = []
    for first, second in combinations(kept.columns if len(kept) else [], 2):
        difference = (kept[first] - kept[second]).to_numpy(np.float64)
        weighted = pd.Series(weights * difference)
        by_benchmark = weighted.groupby(np.asarray(benchmark))
        # NaN (one question: no variance) must stay NaN, not count as 0
        error = np.sqrt((by_benchmark.var() * by_benchmark.size()).sum(skipna=False))
        total = float(weighted.sum())
        rows.append(
            {
                "first": first,
                "second": second,
                "difference": total,
                "low": total - Z_95 * error,
                "high": total + Z_95 * error,
                "first_only": int((difference > 0).sum()),
                "second_only": int((difference < 0).sum()),
                "p": sign_flip_p(weighted.to_numpy(np.float64)),
            }
        )
    columns = ["first", "second", "difference", "low", "high", "first_only", "second_only", "p"]
    pairs = pd.DataFrame(rows, columns=columns)
    return pairs.assign(p_adjusted=holm(pairs["p"].to_numpy(np.float64)))


def sign_flip_p(differences: Floats) -> float:
    """The chance that random signs give a sum at least as far from 0 as `differences` do; 1 when all are 0.

    Differences of one size u, m of them, sum to u·(2K − m) with K binomial(m, ½). The sizes are dealt into two halves,
    each half's sums are listed in full, and the second half, sorted, is searched once for each sum of the first.
    """
    from scipy.stats import norm

    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    if not len(sizes):
        return 1.0
    # a sum of floats that equals the observed one up to rounding is as large as it
    observed = abs(float(differences.sum())) - 1e-9 * float(sizes @ counts)
    halves: list[list[int]] = [[], []]
    outcomes = [1.0, 1.0]
    for index in np.argsort(-counts, kind="stable"):
        smaller = int(outcomes[1] < outcomes[0])
        halves[smaller].append(int(index))
        outcomes[smaller] *= counts[index] + 1
    if max(outcomes) > EXACT_SUPPORT:
        return float(min(1.0, 2 * norm.sf(abs(float(differences.sum())) / np.sqrt(sizes**2 @ counts))))

    listed, chances = signed_sums(sizes[halves[0]], counts[halves[0]])
    searched, weights = signed_sums(sizes[halves[1]], counts[halves[1]])
    order = np.argsort(searched, kind="stable")
    ascending = searched[order]
    at_most = np.concatenate([[0.0], np.cumsum(weights[order])])
    # signs are symmetric, so both tails weigh the same
    below = at_most[np.searchsorted(ascending, -observed - listed, side="right")]
    return 1.0 if observed <= 0 else float(min(1.0, 2 * chances @ below))


def signed_sums(sizes: Floats, counts: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Every sum that random signs can give, with its chance: `counts[i]` terms of size `sizes[i]` for each i."""
    from scipy.stats import binom

    sums, chances = np.zeros(1), np.ones(1)
    for size, count in zip(sizes, counts, strict=True):
        positive = np.arange(count + 1)
        sums = np.add.outer(sums, size * (2 * positive - count)).ravel()
        chances = np.multiply.outer(chances, binom.pmf(positive, count, 0.5)).ravel()
    return sums, chances


def holm(p_values: Floats) -> Floats:
    """Holm's step-down adjustment: the i-th smallest of m becomes max_{j ≤ i} (m − j + 1) · p_(j), at most 1."""
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
