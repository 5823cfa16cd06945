"""The exact sign-flip test: McNemar's test where questions have unequal weights.

If neither of two models is the better one, each difference is as likely to have either sign. Flipping all signs
independently gives their sum its exact distribution, and p is the chance of a sum at least as far from 0 as the one
seen. With equal weights and verdicts of 0 and 1, this is McNemar's exact test.
"""

import numpy as np
import numpy.typing as npt

from tasks.leaderboard.strata import Floats

EXACT_SUPPORT = 100_000
"""Beyond this many sums in a half, the sum's normal limit gives the same p to two digits: hundreds of questions differ,
or 34 and more by as many different amounts."""
DIGITS = 12
"""Differences that agree to so many digits are equal: weights of different strata differ in the last bits."""


def sign_flip_p(differences: Floats) -> float:
    """The chance that random signs give a sum at least as far from 0 as `differences` do; 1 when all are 0.

    Differences of one size u, m of them, sum to u·(2K − m) with K binomial(m, ½). The sizes are dealt into two halves,
    each half's sums are listed in full, and the second half, sorted, is searched once for each sum of the first.
    """
    from scipy.stats import norm

    differing = differences[differences != 0]
    if not len(differing):
        return 1.0
    scaled = np.round(differing / np.abs(differing).max(), DIGITS)
    sizes, counts = np.unique(np.abs(scaled), return_counts=True)
    total = abs(float(scaled.sum()))
    first, second = halves(counts)
    if max(outcomes(counts[first]), outcomes(counts[second])) > EXACT_SUPPORT:
        return float(min(1.0, 2 * norm.sf(total / np.sqrt(sizes**2 @ counts))))

    # a sum of floats that equals the observed one up to rounding is as large as it
    observed = total - 1e-9 * float(sizes @ counts)
    listed, chances = signed_sums(sizes[first], counts[first])
    searched, weights = signed_sums(sizes[second], counts[second])
    order = np.argsort(searched, kind="stable")
    at_most = np.concatenate([[0.0], np.cumsum(weights[order])])
    # signs are symmetric, so both tails weigh the same
    below = at_most[np.searchsorted(searched[order], -observed - listed, side="right")]
    return 1.0 if observed <= 0 else float(min(1.0, 2 * chances @ below))


def halves(counts: npt.NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """The sizes dealt into two halves with about as many sums each, the most frequent ones first."""
    dealt: tuple[list[int], list[int]] = ([], [])
    for index in np.argsort(-counts, kind="stable"):
        min(dealt, key=lambda half: outcomes(counts[half])).append(int(index))
    return dealt


def outcomes(counts: npt.NDArray[np.int64]) -> float:
    """How many sums random signs can give."""
    return float(np.prod(counts + 1.0))


def signed_sums(sizes: Floats, counts: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Every sum that random signs can give, with its chance: `counts[i]` terms of size `sizes[i]` for each i."""
    from scipy.stats import binom

    sums, chances = np.zeros(1), np.ones(1)
    for size, count in zip(sizes, counts, strict=True):
        positive = np.arange(count + 1)
        sums = np.add.outer(sums, size * (2 * positive - count)).ravel()
        chances = np.multiply.outer(chances, binom.pmf(positive, count, 0.5)).ravel()
    return sums, chances
