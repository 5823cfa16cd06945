"""Comparisons of models: what they say of known cases, and the laws that they obey."""

import gc
from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from tasks.leaderboard.compare import holm
from tasks.leaderboard.strata import MEAN, numbers_of
from tests.tasks.answer_tables import compared, mean_scores, of_means, questions, random_answers
from tests.tasks.small_project import pattern

SIZES = {("large", "t"): 200, ("small", "t"): 40}
ENDS = ["difference", "low", "high"]


@pytest.fixture
def answers() -> pd.DataFrame:
    """Four models, better and better."""
    return random_answers(SIZES, [0.3, 0.4, 0.5, 0.7], np.random.default_rng(0))


def test_every_two_models_are_compared_by_every_number(answers: pd.DataFrame) -> None:
    found = compared(answers)
    assert list(found["benchmark"].unique()) == [MEAN, "large", "small"]
    for _, pairs in found.groupby("benchmark"):
        assert list(zip(pairs["first"], pairs["second"], strict=True)) == list(combinations(answers.columns, 2))


def test_one_benchmark_has_mcnemars_exact_test(answers: pd.DataFrame) -> None:
    """Against statsmodels on the whole table of both models' answers."""
    found = compared(answers)
    for row in found[found["benchmark"] == "large"].to_dict("records"):
        first, second = (answers.loc["large", row[side]] for side in ("first", "second"))
        table = pd.crosstab(first, second).reindex(index=[0.0, 1.0], columns=[0.0, 1.0], fill_value=0)
        assert row["p"] == pytest.approx(mcnemar(table, exact=True).pvalue)
        assert row["test"] == "McNemar"
        assert row["difference"] == pytest.approx(100 * (first.mean() - second.mean()))
        assert (row["first_only"], row["second_only"]) == (table.loc[1.0, 0.0], table.loc[0.0, 1.0])


def test_one_benchmark_by_itself_ranks_as_it_scores() -> None:
    """D of a single benchmark is its difference in percent of the expert, and p is McNemar's."""
    answers = random_answers({("math", "t"): 150}, [0.3, 0.45], np.random.default_rng(4))
    by_number = compared(answers, {"math": 0.8}).set_index("benchmark")
    assert by_number.loc[MEAN, "p"] == pytest.approx(by_number.loc["math", "p"])
    for end in ENDS:
        assert by_number.loc[MEAN, end] == pytest.approx(by_number.loc["math", end] / 0.8)


def test_the_other_way_round_everything_has_the_other_sign(answers: pd.DataFrame) -> None:
    there = compared(answers).set_index(["benchmark", "first", "second"])
    back = compared(answers[answers.columns[::-1]]).set_index(["benchmark", "second", "first"])
    back = back.rename_axis(there.index.names).loc[there.index]
    np.testing.assert_allclose(there[ENDS], -back[["difference", "high", "low"]], atol=1e-9)
    np.testing.assert_allclose(there[["p", "p_adjusted"]], back[["p", "p_adjusted"]])
    assert (there["first_only"] == back["second_only"]).all()


def test_the_order_of_benchmarks_does_not_matter(answers: pd.DataFrame) -> None:
    found = compared(answers, {"large": 0.9, "small": 0.6})
    other = compared(answers.iloc[::-1].sort_index(), {"small": 0.6, "large": 0.9})
    keys = ["benchmark", "first", "second"]
    pd.testing.assert_frame_equal(*(table.set_index(keys).sort_index() for table in (found, other)))


def test_another_model_changes_nothing_but_the_adjustment(answers: pd.DataFrame) -> None:
    fewer = compared(answers[["m0", "m1"]]).set_index(["benchmark", "first", "second"])
    more = compared(answers).set_index(["benchmark", "first", "second"]).loc[fewer.index]
    pd.testing.assert_frame_equal(fewer.drop(columns="p_adjusted"), more.drop(columns="p_adjusted"))
    assert (more["p_adjusted"] >= fewer["p_adjusted"]).all()


def test_models_with_the_same_answers_are_not_told_apart(answers: pd.DataFrame) -> None:
    found = compared(answers.assign(m1=answers["m0"])[["m0", "m1"]])
    assert (found[ENDS] == 0).all(axis=None)
    assert (found[["p", "p_adjusted"]] == 1).all(axis=None)


def test_the_weight_of_a_benchmark_is_not_its_number_of_questions() -> None:
    """A recipe ahead on the large benchmark and far behind on the small one is behind, as in the mean."""
    right = {"b": pattern(100, 200) + pattern(16, 20), "a": pattern(110, 200) + pattern(2, 20)}
    row = of_means(compared(pd.DataFrame(right, questions({("large", "t"): 200, ("small", "t"): 20})))).loc["b", "a"]
    assert row["difference"] == pytest.approx((-5 + 70) / 2)
    assert (row["first_only"], row["second_only"]) == (14, 10)
    assert row["p"] < 0.01


def test_a_benchmark_without_a_yardstick_counts_in_no_mean_and_is_compared_by_itself(answers: pd.DataFrame) -> None:
    found = compared(answers, {"large": 0.5, "small": np.nan})
    alone = compared(answers.loc[["large"]], {"large": 0.5})
    compared_alike = ["difference", "questions", "p", "p_adjusted"]
    pd.testing.assert_frame_equal(of_means(found)[compared_alike], of_means(alone)[compared_alike])
    assert found["p"].notna().all()
    assert compared(answers, {"large": np.nan, "small": np.nan}).groupby("benchmark")["p"].count()[MEAN] == 0


def test_verdicts_between_0_and_1_have_the_sign_flip_test() -> None:
    generator = np.random.default_rng(5)
    values = pd.DataFrame(generator.random((30, 2)), questions({("rouge", "t"): 30}), ["m0", "m1"])
    found = compared(values)
    assert set(found["test"]) == {"sign flip"}
    assert found["p"].between(0, 1).all()


def test_a_single_question_has_no_interval_and_no_significance() -> None:
    found = compared(pd.DataFrame([[1.0, 0.0]], questions({("math", "t"): 1}), ["m0", "m1"]))
    assert found[["low", "high"]].isna().all(axis=None)
    assert (found["p"] == 1).all()
    assert (found["difference"] == 100).all()


def test_families_are_adjusted_by_themselves(answers: pd.DataFrame) -> None:
    """Recipes, and pairs with base or experts; each by the mean and by benchmark; statsmodels' Holm in each."""
    kinds = {"m0": "base", "m1": "expert", "m2": "recipe", "m3": "recipe"}
    found = compared(answers, kinds=kinds)
    assert found["family"].value_counts().to_dict() == {
        "recipes": 1,
        "recipes, by benchmark": 2,
        "with base or experts": 5,
        "with base or experts, by benchmark": 10,
    }
    for _, members in found.groupby("family"):
        assert members["p_adjusted"].tolist() == pytest.approx(multipletests(members["p"], method="holm")[1].tolist())
    recipes = found[found["family"].str.startswith("recipes")]
    assert set(recipes["first"]) | set(recipes["second"]) == {"m2", "m3"}


def test_holm_leaves_blanks_out() -> None:
    """The smallest of 4 counts 4 times, the next 3 times, never less than the one before."""
    adjusted = holm(pd.Series([0.04, np.nan, 0.01, 0.03, 0.9]))
    assert adjusted.tolist() == pytest.approx([0.09, np.nan, 0.04, 0.09, 0.9], nan_ok=True)
    assert holm(pd.Series([np.nan])).isna().all()


@pytest.fixture
def _little_garbage() -> Iterator[None]:
    """statsmodels looks for garbage at every adjustment; what was there before is none."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_little_garbage")
def test_false_alarms_stay_rare_when_all_recipes_are_alike() -> None:
    """The best of 6 equal recipes is told apart from some other in about 5 % of experiments or fewer."""
    generator = np.random.default_rng(1)
    alarms = 0
    for _ in range(40):
        answers = random_answers({("math", "t"): 100}, [0.5] * 6, generator)
        flipped = generator.random(answers.shape) < 0.3
        answers = answers.where(~flipped, 1 - answers)
        answers = answers[answers.mean().sort_values(ascending=False, kind="stable").index]
        pairs = of_means(compared(answers))
        alarms += bool((pairs.loc[answers.columns[0], "p_adjusted"] < 0.05).any())
    assert alarms <= 5


@pytest.mark.parametrize("by_task", [False, True])
def test_groups_of_tasks_count_as_their_score_does(by_task: bool) -> None:
    """D is the difference of the means in the table, whether a score counts questions alike or tasks alike."""
    sizes = {("math", "algebra"): 90, ("math", "geometry"): 10, ("code", "t"): 30}
    answers = random_answers(sizes, [0.4, 0.5, 0.6], np.random.default_rng(2))
    by_question = mean_scores(answers)
    scores = answers.groupby(level=["benchmark", "task"]).mean().groupby(level="benchmark").mean()
    scores = scores if by_task else by_question
    assert np.allclose(scores, by_question) != by_task
    reference = pd.Series({"math": 0.9, "code": 0.7})
    estimates = numbers_of(answers, scores, reference).estimates()
    np.testing.assert_allclose(estimates.loc[["math", "code"]], 100 * scores.loc[["math", "code"]])
    means = (100 * scores.div(reference, axis=0)).mean()
    np.testing.assert_allclose(estimates.loc[MEAN], means)


def test_scores_that_are_no_means_of_verdicts_are_not_compared() -> None:
    answers = random_answers(SIZES, [0.4, 0.6], np.random.default_rng(2))
    scores = mean_scores(answers)
    scores.loc["small", "m1"] += 0.01
    numbers = numbers_of(answers, scores, pd.Series({"large": 1.0, "small": 1.0}))
    assert numbers.weights.isna().any(axis=1).to_dict() == {MEAN: True, "large": False, "small": True}
    numbers = numbers_of(answers, scores, pd.Series({"large": 1.0, "small": np.nan}))
    assert not numbers.weights.loc[MEAN].isna().any(), "what counts in no mean spoils none"
