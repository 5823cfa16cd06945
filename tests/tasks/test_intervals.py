"""The bootstrap's intervals: how often they hold the truth, and against intervals by the book."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from tasks.leaderboard.intervals import intervals
from tasks.leaderboard.strata import numbers_of
from tests.tasks.answer_tables import compared, mean_scores, questions, random_answers

SIZES = {("gsm8k", "t"): 120, ("math", "algebra"): 60, ("math", "geometry"): 40}


def test_intervals_hold_the_truth_95_times_in_100() -> None:
    """Two models that are right with chances 0.5 and 0.4 on every question, 150 times."""
    generator = np.random.default_rng(7)
    index = questions(SIZES)
    held = 0
    for _ in range(150):
        right = generator.random((len(index), 2)) < (0.5, 0.4)
        answers = pd.DataFrame(right.astype(float), index, ["m0", "m1"])
        numbers = numbers_of(answers, mean_scores(answers), pd.Series({"gsm8k": 0.8, "math": 0.5}))
        low, high = intervals(numbers, np.array([0]), np.array([1]))
        held += bool(low[0, 0] <= (10 / 0.8 + 10 / 0.5) / 2 <= high[0, 0])
    assert 0.90 <= held / 150 <= 0.99


def test_intervals_of_many_questions_are_the_normal_ones() -> None:
    """With the variance of the paired differences, benchmark by benchmark."""
    answers = random_answers({("gsm8k", "t"): 3000, ("math", "t"): 2000}, [0.6, 0.5], np.random.default_rng(3))
    found = compared(answers).set_index("benchmark")
    difference = 100 * (answers["m0"] - answers["m1"]).groupby(level="benchmark").mean()
    errors = 100 * (answers["m0"] - answers["m1"]).groupby(level="benchmark").sem()
    for benchmark in ("gsm8k", "math"):
        ends = difference[benchmark] + norm.ppf([0.025, 0.975]) * errors[benchmark]
        assert found.loc[benchmark, ["low", "high"]].tolist() == pytest.approx(ends.tolist(), abs=0.3)
    width = found.loc["mean normalised", "high"] - found.loc["mean normalised", "low"]
    assert width == pytest.approx(2 * norm.ppf(0.975) * np.hypot(*errors) / 2, rel=0.06)


def test_intervals_are_the_same_every_time() -> None:
    answers = random_answers(SIZES, [0.6, 0.5, 0.4], np.random.default_rng(3))
    pd.testing.assert_frame_equal(compared(answers), compared(answers))
