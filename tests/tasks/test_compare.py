"""Comparisons of models: what they say of known cases, and the laws that they obey."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from tasks.leaderboard.compare import LEVEL, compare_models, holm, paired_test
from tasks.leaderboard.strata import MEAN, Numbers, numbers_of
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
    assert (found["difference"] == 0).all()
    assert found[["low", "high"]].isna().all(axis=None)
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
    """Recipes, recipes with the base, and the rest; each by the mean and by benchmark; statsmodels' Holm in each."""
    kinds = {"m0": "base", "m1": "expert", "m2": "recipe", "m3": "recipe"}
    found = compared(answers, kinds=kinds)
    assert found["family"].value_counts().to_dict() == {
        "recipes": 1,
        "recipes, by benchmark": 2,
        "recipes with base": 2,
        "recipes with base, by benchmark": 4,
        "with experts": 3,
        "with experts, by benchmark": 6,
    }
    for _, members in found.groupby("family"):
        assert members["p_adjusted"].tolist() == pytest.approx(multipletests(members["p"], method="holm")[1].tolist())
    recipes = found[found["family"].isin(["recipes", "recipes, by benchmark"])]
    assert set(recipes["first"]) | set(recipes["second"]) == {"m2", "m3"}


def test_holm_leaves_blanks_out() -> None:
    """The smallest of 4 counts 4 times, the next 3 times, never less than the one before."""
    adjusted = holm(pd.Series([0.04, np.nan, 0.01, 0.03, 0.9]))
    assert adjusted.tolist() == pytest.approx([0.09, np.nan, 0.04, 0.09, 0.9], nan_ok=True)
    assert holm(pd.Series([np.nan])).isna().all()


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


def test_a_score_that_is_no_mean_of_verdicts_keeps_its_model_alone_from_being_compared() -> None:
    """m1, on the one benchmark and by the mean that it counts in."""
    answers = random_answers(SIZES, [0.4, 0.6, 0.5], np.random.default_rng(2))
    scores = mean_scores(answers)
    scores.loc["small", "m1"] += 0.01
    numbers = numbers_of(answers, scores, pd.Series({"large": 1.0, "small": 1.0}))
    unknown = numbers.known.stack().loc[lambda known: ~known].index
    assert set(unknown) == {(MEAN, "m1"), ("small", "m1")}
    found = compare_models(numbers, dict.fromkeys(answers.columns, "recipe")).set_index(
        ["benchmark", "first", "second"]
    )
    blank = ["difference", "low", "high", "p", "p_adjusted"]
    for (number, *pair), row in found[blank].iterrows():
        assert row.isna().all() == (number != "large" and "m1" in pair)
        assert row.isna().any() == (number != "large" and "m1" in pair)
    numbers = numbers_of(answers, scores, pd.Series({"large": 1.0, "small": np.nan}))
    assert numbers.known.loc[MEAN].all(), "what counts in no mean spoils none"


def trading_off(generator: np.random.Generator) -> pd.DataFrame:
    """Six recipes of the same expected mean: what each is better by on 20 questions it is worse by on 1,000."""
    better = np.array([0.1, 0.05, 0.15, 0.1, 0.05, 0.15])
    possible = generator.random((1000, 1)) < 0.6
    large = possible & (generator.random((1000, 6)) < 1 - better / 0.6)
    small = generator.random((20, 6)) < better
    index = questions({("large", "t"): 1000, ("small", "t"): 20})
    return pd.DataFrame(np.vstack([large, small]).astype(float), index, [f"m{number}" for number in range(6)])


def test_trading_benchmarks_off_is_not_being_better() -> None:
    """A small benchmark on which by luck nothing differs does not make the mean certain."""
    generator = np.random.default_rng(2)
    alarms = 0
    for _ in range(15):
        numbers = means_of(trading_off(generator))
        p = [paired_test(numbers, 0, *pair)["p"] for pair in combinations(range(6), 2)]
        alarms += bool((holm(pd.Series(p)) < LEVEL).any())
    assert alarms <= 2


def means_of(answers: pd.DataFrame) -> Numbers:
    """The numbers of two benchmarks whose experts score 1."""
    return numbers_of(answers, mean_scores(answers), pd.Series({"large": 1.0, "small": 1.0}))


def mean_p(answers: pd.DataFrame) -> float:
    """The p of two models' means."""
    return float(paired_test(means_of(answers), 0, 0, 1)["p"])


def test_a_recipe_that_is_better_everywhere_is_told_apart() -> None:
    """The questions added cost hardly any power."""
    generator = np.random.default_rng(6)
    sizes = {("large", "t"): 300, ("small", "t"): 150}
    found = sum(mean_p(random_answers(sizes, [0.5, 0.65], generator)) < 0.05 for _ in range(40))
    assert found >= 34


def test_the_mean_of_several_benchmarks_has_two_questions_more_on_each() -> None:
    """By hand: 3 of 4 against 1 of 4 on one, 2 of 5 alike on the other, all signs listed."""
    answers = pd.DataFrame(
        {"m0": [1, 1, 1, 0, 1, 1, 0, 0, 0], "m1": [0, 0, 0, 1, 1, 1, 0, 0, 0]},
        questions({("large", "t"): 4, ("small", "t"): 5}),
        dtype=float,
    )
    terms = np.array([1 / 4] * 4 + [1 / 4] * 2 + [1 / 5] * 2)
    sums = np.array([signs @ terms for signs in product([-1, 1], repeat=len(terms))])
    assert mean_p(answers) == pytest.approx((np.abs(sums) >= 2 / 4 - 1e-9).mean())


def test_a_rare_loss_against_the_base_counts_no_pairs_of_experts(answers: pd.DataFrame) -> None:
    """Recipes beside the base are adjusted over the recipes alone, however many experts there are."""
    few = {"m0": "base", "m1": "recipe", "m2": "expert"}
    more = {**few, "m3": "expert"}
    keys = ["benchmark", "first", "second"]
    pair = (MEAN, "m0", "m1")
    there = compared(answers[list(few)], kinds=few).set_index(keys).loc[pair]
    here = compared(answers, kinds=more).set_index(keys).loc[pair]
    assert there["p_adjusted"] == here["p_adjusted"] == here["p"]
