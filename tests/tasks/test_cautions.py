"""Warnings: what the experts, the limits and the answers give cause for, and nothing where there is no cause."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tasks.leaderboard import gather_files, write_results
from tasks.leaderboard.current import current
from tasks.leaderboard.finding import cautions, finding
from tests.tasks.board_tools import edit_scores, printed
from tests.tasks.small_project import ANSWERS, make_project, pattern

SOUND = {
    name: {benchmark: sorted([*right] * 5, reverse=True) for benchmark, right in by_benchmark.items()}
    for name, by_benchmark in ANSWERS.items()
} | {"base": {"gsm8k": pattern(0, 200), "math": pattern(0, 100)}}
"""The small project with five times the questions, and a base that can do nothing."""


def warned(folder: Path, **maths: Sequence[float]) -> list[str]:
    """The warnings of a project in which some models answer math as given."""
    answers = {name: {**SOUND[name], "math": maths.get(name, SOUND[name]["math"])} for name in SOUND}
    return cautions(gather_files(make_project(folder, answers)))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_sound_project_has_no_warnings(folder: Path) -> None:
    assert warned(folder) == []


@pytest.mark.parametrize(("base", "expert"), [(50, 50), (60, 50), (90, 20)])
def test_an_expert_that_is_not_better_than_the_base(folder: Path, base: int, expert: int) -> None:
    (first, *others) = warned(folder, base=pattern(base, 100), maths=pattern(expert, 100), wudi=pattern(0, 100))
    own, basis = f"{expert:.1f}", f"{base:.1f}"
    assert first.startswith(f"maths (expert): scores {own} on math, its own benchmark, and the base {basis};")
    assert first.endswith("is the right checkpoint wired in?")
    assert not any("the base" in other and "maths" in other for other in others)


def test_an_expert_that_cannot_be_told_from_the_base(folder: Path) -> None:
    (text, *_) = warned(folder, base=pattern(48, 100), maths=pattern(50, 100))
    assert text.endswith("on math, its own benchmark, and the base 48.0: the paired test cannot tell it from the base")


def test_an_expert_that_scores_0(folder: Path) -> None:
    (text,) = warned(folder, maths=pattern(0, 100))
    assert "math is left out of mean normalised scores; is the right checkpoint wired in?" in text


def test_an_expert_that_is_beaten_on_its_own_benchmark(folder: Path) -> None:
    """By a recipe that is clearly better, and not by one that has two more."""
    (text,) = warned(folder, maths=pattern(50, 100), wudi=pattern(100, 100), same=pattern(52, 100))
    assert text == "maths (expert): is clearly beaten on math, its own benchmark, by wudi"


@pytest.mark.parametrize(("right", "verdict"), [(60, "cannot be told apart from"), (95, "is below")])
def test_recipes_that_gain_nothing(folder: Path, right: int, verdict: str) -> None:
    """The base as good as the best recipe, and clearly better than all of them."""
    answers = {**SOUND, "base": {"gsm8k": pattern(2 * right, 200), "math": pattern(40 + right - 60, 100)}}
    answers["gsm"] = {"gsm8k": pattern(200, 200), "math": pattern(0, 100)}
    answers["maths"] = {"gsm8k": pattern(0, 200), "math": pattern(100, 100)}
    board = gather_files(make_project(folder, answers))
    assert "base: no recipe's mean normalised score is told apart above that of the base" in cautions(board)
    assert f"wudi {verdict} the base, which has" in finding(board)


def test_a_benchmark_with_few_questions_in_a_mean_over_several(folder: Path) -> None:
    """It says so where recipes are ranked by such a mean, and not of a single one."""
    text = "all models: ranked by a mean in which fewer than 100 questions count as a whole benchmark: math (50)"
    few = {name: {**by_benchmark, "math": by_benchmark["math"][::2]} for name, by_benchmark in SOUND.items()}
    assert text in cautions(gather_files(make_project(folder, few)))
    alone = {name: few[name] for name in ("base", "gsm", "maths", "wudi")}
    assert text not in cautions(gather_files(make_project(folder, alone, ["wudi"])))


def test_limits_and_what_the_evaluation_says(folder: Path) -> None:
    """Each distinct text once, with its models."""
    params = make_project(folder, SOUND)
    for name in SOUND:
        edit_scores(name, limit=20, warnings=["programs ran without a sandbox"])
    edit_scores("wudi", warnings=["programs ran without a sandbox", "the backend is not deterministic"])
    assert cautions(gather_files(params)) == [
        "all models: answered, as `limit` says, only 200 of gsm8k, 100 of math: no scores of whole benchmarks",
        "all models: programs ran without a sandbox",
        "wudi: the backend is not deterministic",
    ]


@pytest.mark.parametrize("available", [100, 150])
def test_a_limit_that_leaves_nothing_out_is_none(folder: Path, available: int) -> None:
    """200 and 100 questions under a limit of 500, of as many as there are, and of 150 that there are of math."""
    params = make_project(folder, SOUND)
    for name in SOUND:
        edit_scores(name, limit=500, questions_available=available)
    found = cautions(gather_files(params))
    expected = "all models: answered, as `limit` says, only 100 of math: no scores of whole benchmarks"
    assert found == ([] if available == 100 else [expected])


def test_a_model_that_was_measured_otherwise(folder: Path) -> None:
    """Each setting by which it differs from most, with the benchmarks; the others are not accused."""
    params = make_project(folder, SOUND)
    for name in SOUND:
        edit_scores(name, dtype="bfloat16", device="cuda", limit=None)
    edit_scores("wudi", dtype="float32", num_fewshot=8, chat_template=True, versions={"lm_eval": "0.3"})
    edit_scores("gsm", device=None, limit=500, questions_available=100)
    assert cautions(gather_files(params)) == [
        "wudi: measured on gsm8k and math with number of examples 8, where other models have 2",
        "wudi: measured on gsm8k and math with chat template yes, where other models have no",
        "gsm (expert): measured on gsm8k and math with device none, where other models have cuda",
        "wudi: measured on gsm8k and math with data type float32, where other models have bfloat16",
        "wudi: measured on gsm8k and math with version of lm_eval 0.3, where other models have 0.4.13",
    ]


def test_answers_of_another_run_than_the_scores_are_not_compared(folder: Path) -> None:
    """The warning names the model alone, and how it is mended; nothing claims that it is like the others."""
    params = make_project(folder, SOUND)
    edit_scores("same", score=0.41)
    board = gather_files(params)
    assert board.letters == {"wudi": "a", "same": "ab", "average": "b"}
    assert (board.not_told_apart, board.not_compared) == ([], ["same"])
    assert "wudi ranks first of 3 recipes" in finding(board)
    assert "but was not compared with same." in finding(board)
    why = "its score there is not the mean of its verdicts in samples/"
    mend = "make both again with: dvc repro --force evaluate_recipe@same"
    assert [text for text in cautions(board) if "not compared" in text] == [
        f"same: not compared on {benchmark}, nor by mean normalised scores: {why}; {mend}"
        for benchmark in ("gsm8k", "math")
    ]
    write_results(board, params)
    assert "wudi was not compared with same." in printed(current(params))


def test_a_metric_that_is_no_mean_accuses_no_model(folder: Path) -> None:
    """Nothing can be compared, all recipes share a letter, and running anything again would not help."""
    params = make_project(folder, SOUND)
    for number, name in enumerate(SOUND):
        edit_scores(name, score=0.41 + number / 1000)
    board = gather_files(params)
    assert set(board.letters.values()) == {"a"}
    (text, _) = [text for text in cautions(board) if "not compared" in text]
    assert text.startswith("all models: not compared on gsm8k")
    assert "--force" not in text
    assert finding(board).endswith("was not compared with the base.")
    write_results(board, params)
