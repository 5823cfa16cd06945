"""Warnings: what the experts, the limits and the answers give cause for, and nothing where there is no cause."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tasks.leaderboard import gather_files, write_results
from tasks.leaderboard.words import cautions
from tests.tasks.board_tools import edit_scores
from tests.tasks.small_project import ANSWERS, make_project, pattern

SOUND = {**ANSWERS, "base": {"gsm8k": pattern(0, 40), "math": pattern(0, 20)}}


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


@pytest.mark.parametrize(("base", "expert"), [(10, 10), (12, 10), (20, 4)])
def test_an_expert_that_is_not_better_than_the_base(folder: Path, base: int, expert: int) -> None:
    (first, *others) = warned(folder, base=pattern(base, 20), maths=pattern(expert, 20), wudi=pattern(0, 20))
    assert first.startswith(f"maths: scores {5 * expert:.1f} on math, its own benchmark, and the base {5 * base:.1f};")
    assert first.endswith("is the right checkpoint wired in?")
    assert not any("base" in other for other in others)


def test_an_expert_that_cannot_be_told_from_the_base(folder: Path) -> None:
    (text,) = warned(folder, base=pattern(8, 20), maths=pattern(10, 20))
    assert text.endswith("on math, its own benchmark, and the base 40.0: the paired test cannot tell it from the base")


def test_an_expert_that_scores_0(folder: Path) -> None:
    (text,) = warned(folder, maths=pattern(0, 20))
    assert "math is left out of mean normalised scores; is the right checkpoint wired in?" in text


def test_an_expert_that_is_beaten_on_its_own_benchmark(folder: Path) -> None:
    """By a recipe that is clearly better, and not by one that has two more."""
    (text,) = warned(folder, maths=pattern(10, 20), wudi=pattern(20, 20), same=pattern(12, 20))
    assert text == "maths: is clearly beaten on math, its own benchmark, by wudi"


def test_limits_and_what_the_evaluation_says(folder: Path) -> None:
    """Each distinct text once, with its models."""
    params = make_project(folder, SOUND)
    for name in SOUND:
        edit_scores(name, limit=20, warnings=["programs ran without a sandbox"])
    edit_scores("wudi", warnings=["programs ran without a sandbox", "the backend is not deterministic"])
    assert cautions(gather_files(params)) == [
        "all models: answered, as `limit` says, only 40 of gsm8k, 20 of math: no scores of whole benchmarks",
        "all models: programs ran without a sandbox",
        "wudi: the backend is not deterministic",
    ]


def test_answers_of_another_run_than_the_scores_tell_nothing_apart(folder: Path) -> None:
    """All recipes share a letter, the report is written, and a warning says why."""
    params = make_project(folder, SOUND)
    edit_scores("same", score=0.41)
    board = gather_files(params)
    assert set(board.letters.values()) == {"a"}
    assert [text.split(",")[0] for text in cautions(board)][:2] == [
        "all models: not compared on gsm8k",
        "all models: not compared on math",
    ]
    write_results(board, params)
