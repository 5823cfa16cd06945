"""The leaderboard in a terminal."""

import re
from pathlib import Path

import pandas as pd
import pytest

from tasks import paths
from tasks.leaderboard import gather, gather_files
from tasks.leaderboard.answers import load_answers
from tasks.leaderboard.current import current
from tasks.leaderboard.table import wide
from tasks.params import Params
from tests.tasks.board_tools import edit_scores, printed
from tests.tasks.small_project import ANSWERS, EXPERTS, make_project


def test_the_terminal_table_fits_and_has_groups(params: Params) -> None:
    """Plain text in a pipe; on a narrow terminal no line is longer than it."""
    table = current(params)
    lines = printed(table).splitlines()
    assert not any("\x1b" in line for line in lines)
    assert [line.split()[:3] for line in lines[2:5]] == [["1", "wudi", "a"], ["1", "same", "a"], ["3", "average", "b"]]
    assert "77.5" in lines[2]
    assert lines[2].rstrip().endswith("1.9")
    assert any(line.startswith("Recipes that share a letter cannot be told apart") for line in lines)
    assert "More in results/report.html and results/leaderboard.csv" in lines
    narrow = re.sub(r"\x1b\[[\d;]*m", "", printed(table, 56, terminal=True)).splitlines()
    assert all(len(line) <= 56 for line in narrow)
    assert not any("±" in line or "standard error" in line for line in narrow)
    assert {"Recipes", "share", "letter", "cannot", "told", "apart"} <= set(" ".join(narrow).split())


def test_a_very_narrow_terminal_does_without_seconds(params: Params) -> None:
    table = current(params)
    narrow = re.sub(r"\x1b\[[\d;]*m", "", printed(table, 44, terminal=True)).splitlines()
    assert all(len(line) <= 44 for line in narrow)
    assert "merge s" not in narrow[0]
    assert [line.split()[:2] for line in narrow[2:5]] == [["1", "wudi"], ["1", "same"], ["3", "average"]]


def test_the_narrowest_terminal_gets_names_and_means(params: Params) -> None:
    table = current(params)
    narrow = re.sub(r"\x1b\[[\d;]*m", "", printed(table, 34, terminal=True)).splitlines()
    assert all(len(line) <= 34 for line in narrow)
    assert narrow[0].split() == ["model", "group", "normalised"]
    assert [line.split()[:2] for line in narrow[2:5]] == [["1", "wudi"], ["1", "same"], ["3", "average"]]


def test_four_benchmarks_fit_100_columns(params: Params) -> None:
    """With names of the usual length."""
    board = gather_files(params)
    names = {"gsm8k": "humaneval", "math": "mbpp"}
    scores = pd.concat([board.scores, board.scores.assign(benchmark=board.scores["benchmark"].map(names))])
    answers = load_answers(params.models(), EXPERTS)
    answers = pd.concat([answers, answers.rename(index=names, level="benchmark")])
    lines = printed(wide(gather(scores, answers, {**EXPERTS, "humaneval": "gsm", "mbpp": "maths"}))).splitlines()
    assert max(len(line) for line in lines[:8]) <= 100


def test_forty_recipes_with_long_names_are_all_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No name is cut, no pair of recipes left out."""
    monkeypatch.chdir(tmp_path)
    names = [f"recipe_{number:02d}_".ljust(60, "x") for number in range(40)]
    models = {name: ANSWERS[name] for name in ("base", "gsm", "maths")} | dict.fromkeys(names, ANSWERS["wudi"])
    board = gather_files(make_project(tmp_path, models, names))
    assert len(board.between_recipes) == 40 * 39 / 2
    lines = printed(wide(board))
    assert all(name in lines for name in names)


@pytest.mark.parametrize("clone", [False, True])
def test_warnings_stand_below_the_table_of_a_clone_too(params: Params, clone: bool) -> None:
    """results/leaderboard.csv alone has them, each with its models."""
    for name, text in (("wudi", "the backend is slow"), ("gsm", "programs ran without a sandbox")):
        edit_scores(name, warnings=[text, "an old harness"])
    current(params)
    for file in [*paths.SCORES.iterdir(), *paths.SAMPLES.rglob("*.gz")] if clone else []:
        file.unlink()
    lines = printed(current(params)).splitlines()
    for warning in (
        "gsm (expert): programs ran without a sandbox",
        "wudi and gsm (expert): an old harness",
        "wudi: the backend is slow",
    ):
        assert f"warning: {warning}" in lines
