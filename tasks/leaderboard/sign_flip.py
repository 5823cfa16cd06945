"""The sign-flip test: McNemar's test where questions have unequal weights.

If each difference is as likely to have either sign, flipping all signs independently gives their sum its exact
distribution, and p is the chance of a sum at least as far from 0 as the one seen. With equal weights and verdicts of 0
and 1, this is McNemar's exact test.
"""

import numpy as np
import numpy.typing as npt

from tasks.leaderboard.strata import Floats

EXACT_SUPPORT = 100_000
"""No more sums than these are listed at a time. Where a half has more, thousands of questions differ, or 34 and more by
as many different amounts."""
DIGITS = 12
"""Differences that agree to so many digits are equal: weights of different strata differ in the last bits."""


def sign_flip_p(differences: Floats) -> float:
    """The chance that random signs give a sum at least as far from 0 as `differences` do; 1 when all are 0.

    Differences of one size u, m of them, sum to u·(2K − m) with K binomial(m, ½). The sizes are dealt into two halves,
    each half's sums are listed in full, and the second half, sorted, is searched once for each sum of the first. Where
    that is too much, small differences, which are many, have the normal limit.
    """
    differing = differences[differences != 0]
    if not len(differing):
        return 1.0
    scaled = np.round(differing / np.abs(differing).max(), DIGITS)
    sizes, counts = np.unique(np.abs(scaled), return_counts=True)
    # a sum of floats that equals the observed one up to rounding is as large as it
    observed = abs(float(scaled.sum())) - 1e-9 * float(sizes @ counts)
    if observed <= 0:
        return 1.0
    first, second = halves(counts)
    exact = max(outcomes(counts[first]), outcomes(counts[second])) <= EXACT_SUPPORT
    tail = exact_tail(observed, sizes, counts, (first, second)) if exact else limit_tail(observed, sizes, counts)
    return min(1.0, 2 * tail)  # signs are symmetric, so both tails weigh the same


def exact_tail(
    observed: float, sizes: Floats, counts: npt.NDArray[np.int64], dealt: tuple[list[int], list[int]]
) -> float:
    """The chance of a sum of at least `observed`, from every sum of two halves of the sizes."""
    (listed, chances), (searched, weights) = (signed_sums(sizes[half], counts[half]) for half in dealt)
    order = np.argsort(searched, kind="stable")
    at_most = np.concatenate([[0.0], np.cumsum(weights[order])])
    return float(chances @ at_most[np.searchsorted(searched[order], -observed - listed, side="right")])


def limit_tail(observed: float, sizes: Floats, counts: npt.NDArray[np.int64]) -> float:
    """The chance of a sum of at least `observed`, with the normal limit of the smallest differences alone.

    A few large differences, as of a benchmark with 20 questions, are far from normal: theirs are listed in full.
    """
    from scipy.stats import norm

    large = largest(counts)
    sums, chances = signed_sums(sizes[large], counts[large])
    spread = np.sqrt(np.delete(sizes, large) ** 2 @ np.delete(counts, large))
    return float(chances @ norm.sf((observed - sums) / spread))


def largest(counts: npt.NDArray[np.int64]) -> list[int]:
    """The largest sizes, of sizes in ascending order, whose sums can be listed; one with too many terms is left out."""
    listed: list[int] = []
    for index in range(len(counts) - 1, -1, -1):
        if outcomes(counts[[*listed, index]]) <= EXACT_SUPPORT:
            listed.append(index)
    return listed


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
