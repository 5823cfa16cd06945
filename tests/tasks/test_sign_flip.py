"""The sign-flip test against statsmodels, scipy and a list of all signs."""

import itertools

import numpy as np
import pytest
from scipy.stats import permutation_test
from statsmodels.stats.contingency_tables import mcnemar

from tasks.leaderboard import sign_flip
from tasks.leaderboard.sign_flip import sign_flip_p


@pytest.mark.parametrize(("wins", "losses"), [(8, 2), (10, 0), (5, 5), (0, 1), (0, 0), (130, 90), (400, 700)])
def test_equal_weights_give_mcnemars_exact_test(wins: int, losses: int) -> None:
    """The concordant questions do not matter."""
    differences = np.array([0.25] * wins + [-0.25] * losses + [0.0] * 7)
    expected = mcnemar([[0, wins], [losses, 7]], exact=True).pvalue
    assert sign_flip_p(differences) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_unequal_weights_give_scipys_exact_permutation_test(seed: int) -> None:
    generator = np.random.default_rng(seed)
    differences = generator.choice([0.3, 0.5, 0.7, 1.1], 11) * generator.choice([-1, 1], 11, p=[0.3, 0.7])
    expected = permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=True
    ).pvalue
    assert sign_flip_p(differences) == pytest.approx(expected)


def test_unequal_weights_against_all_signs() -> None:
    differences = np.array([0.3, 0.3, 0.3, -0.3, 0.5, 0.5, -0.5, 0.7, 0.7, -1.1, 1.3, 1.3])
    sums = np.array([np.dot(signs, differences) for signs in itertools.product([-1, 1], repeat=12)])
    expected = (np.abs(sums) >= abs(differences.sum()) - 1e-9).mean()
    assert sign_flip_p(differences) == pytest.approx(expected)


def test_sign_scale_and_order_do_not_matter() -> None:
    generator = np.random.default_rng(3)
    differences = generator.choice([0.2, 0.7], 60) * generator.choice([-1, 0, 1], 60, p=[0.3, 0.2, 0.5])
    p = sign_flip_p(differences)
    assert 0 < p < 1
    for same in (-differences, 1e-7 * differences, 3e5 * differences, generator.permutation(differences)):
        assert sign_flip_p(same) == pytest.approx(p, rel=1e-9)


def test_weights_that_differ_in_the_last_bits_are_equal() -> None:
    """Seven strata of one weight are one size of difference, and the test stays exact."""
    differences = np.concatenate([np.full(50, 0.1 * (1 + part * 2.3e-16)) for part in range(7)])
    differences[:150] *= -1
    assert sign_flip_p(differences) == pytest.approx(mcnemar([[0, 200], [150, 0]], exact=True).pvalue, rel=1e-9)


@pytest.mark.parametrize("sizes", [[0.3, 0.7], np.linspace(0.1, 1, 40)])
def test_the_normal_limit_agrees_with_the_exact_test(sizes: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """With hundreds of differing questions of one size, and with 40 of different sizes, none of which decides."""
    generator = np.random.default_rng(0)
    each = 800 // len(sizes) if len(sizes) == 2 else 1
    differences = np.concatenate([size * generator.choice([-1, 1], each, p=[0.45, 0.55]) for size in sizes])
    signs = generator.choice([-1.0, 1.0], (20_000, len(differences)))
    drawn = (np.abs(signs @ differences) >= abs(differences.sum()) - 1e-9).mean()
    exact = sign_flip_p(differences)
    monkeypatch.setattr(sign_flip, "EXACT_SUPPORT", 0)
    assert sign_flip_p(differences) == pytest.approx(exact, rel=0.1)
    assert exact == pytest.approx(drawn, abs=0.015)


@pytest.mark.parametrize("wins", [4, 5, 8])
def test_a_few_large_differences_among_thousands_of_small_ones(wins: int) -> None:
    """20 questions that weigh as much as 14,000 are far from normal: against a million random signs."""
    generator = np.random.default_rng(wins)
    benchmarks = [(1319, 150, 152), (5000, 500, 501), (14_000, 1500, 1502), (20, wins, 0)]
    differences = np.concatenate([np.repeat([1 / size, -1 / size], [won, lost]) for size, won, lost in benchmarks])
    sums = np.zeros(1_000_000)
    for size, won, lost in benchmarks:
        sums += (2 * generator.binomial(won + lost, 0.5, len(sums)) - won - lost) / size
    expected = (np.abs(sums) >= abs(differences.sum()) - 1e-12).mean()
    assert sign_flip_p(differences) == pytest.approx(expected, rel=0.03)


def test_verdicts_of_many_amounts_with_a_few_large_differences() -> None:
    """No two of 300 differences are of one size, and a handful decide the sum."""
    generator = np.random.default_rng(1)
    differences = generator.pareto(1.2, 300) * generator.choice([-1, 1], 300, p=[0.4, 0.6])
    signs = generator.choice([-1.0, 1.0], (40_000, len(differences)))
    expected = (np.abs(signs @ differences) >= abs(differences.sum())).mean()
    assert sign_flip_p(differences) == pytest.approx(expected, abs=0.01)
