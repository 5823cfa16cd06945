"""A leaderboard of what is there: a failed recipe, a missing benchmark, lost samples hide nothing of the others."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tasks import paths
from tasks.leaderboard import Leaderboard, gather_files, write_results
from tasks.leaderboard.current import current
from tasks.leaderboard.finding import banner, cautions, finding
from tasks.leaderboard.table import as_csv, as_json, comparisons, metrics, tidy, wide
from tasks.params import Params
from tests.tasks.board_tools import drop, edit_scores, printed
from tests.tasks.small_project import ANSWERS, RECIPES, make_project
from wudi.errors import WudiError


def partial(params: Params) -> Leaderboard:
    """The partial leaderboard, whose tables can always be written."""
    board = gather_files(params, partial=True)
    assert tables(board)
    assert as_json(metrics(board))
    return board


def tables(board: Leaderboard) -> list[str]:
    """Everything that is written of numbers."""
    return [as_csv(wide(board), index=True), *(as_csv(table(board), index=False) for table in (tidy, comparisons))]


def test_with_nothing_missing_it_is_the_whole_one(params: Params) -> None:
    whole, other = gather_files(params), gather_files(params, partial=True)
    assert tables(whole) == tables(other)
    assert as_json(metrics(whole)) == as_json(metrics(other))
    assert (other.missing, banner(other)) == ([], "")


def test_a_failed_recipe_changes_nothing_for_the_others(params: Params, tmp_path: Path) -> None:
    """The numbers are those of a project that never had it."""
    drop("average")
    shutil.rmtree(paths.merged("average"))
    board = partial(params)
    without = [name for name in RECIPES if name != "average"]
    fewer = make_project(tmp_path, {name: ANSWERS[name] for name in ANSWERS if name != "average"}, without)
    others = gather_files(fewer)
    pd.testing.assert_frame_equal(board.summary.drop(index="average"), others.summary, check_dtype=False)
    pd.testing.assert_frame_equal(board.comparisons, others.comparisons)
    assert (board.ranked, board.letters) == (others.recipes, others.letters)
    assert board.recipes == [*others.recipes, "average"]


def test_a_failed_recipe_is_a_row_of_dashes(params: Params) -> None:
    drop("average")
    shutil.rmtree(paths.merged("average"))
    board = partial(params)
    write_results(board, params)
    (gap,) = board.missing
    assert (gap.why, gap.command, gap.benchmarks) == (
        "not merged",
        "dvc repro evaluate_recipe@average",
        ("gsm8k", "math"),
    )
    assert "of the 2 recipes that are complete" in finding(board)
    assert "Failed or not there yet: average (not merged)." in finding(board)
    assert cautions(board)[0] == "average: not merged, so without scores, mean and rank"
    table = pd.read_csv(paths.LEADERBOARD, index_col="model")
    assert table.loc["average"].dropna().index.tolist() == ["kind", "missing", "warnings"]
    assert "average" not in paths.SCORES_TABLE.read_text() + paths.COMPARISONS.read_text()
    found = json.loads(paths.METRICS.read_text())
    assert found["missing"] == 1
    assert sorted(found["normalised"]) == sorted(found["score"]) == ["same", "wudi"]
    lines = printed(table).splitlines()
    assert lines[4].split() == ["average", "–", "–", "–"]
    (position,) = [
        number for number, line in enumerate(lines) if line.startswith("This leaderboard is partial: 1 of 6")
    ]
    assert lines[position + 1].startswith("warning: average: not merged")
    assert "This leaderboard is partial" in paths.REPORT.read_text(encoding="utf-8")


def test_a_recipe_that_lacks_a_benchmark_has_no_mean(params: Params) -> None:
    """Its score is shown and compared where both answered; it comes after the ranked ones."""
    drop("wudi", "math")
    board = partial(params)
    assert (board.ranked, board.recipes) == (["same", "average"], ["same", "average", "wudi"])
    assert board.summary[["rank", "mean_score", "mean_normalised"]].isna().all(axis=1)["wudi"]
    assert board.wide("score").isna().T["wudi"].tolist() == [False, True]
    assert "wudi" not in board.letters
    both = board.comparisons["first"].eq("same") & board.comparisons["second"].eq("wudi")
    rows = board.comparisons.loc[both, ["benchmark", "questions", "p", "difference"]]
    assert rows["benchmark"].tolist() == ["mean normalised", "gsm8k", "math"]
    assert rows["p"].isna().tolist() == rows["difference"].isna().tolist() == [True, False, True]
    assert rows["questions"].tolist() == [40, 40, 0], "those that both answered"
    assert "wudi: not measured on math, so without mean and rank" in cautions(board)
    assert "wudi" not in metrics(board)["normalised"]


def test_a_benchmark_without_its_yardstick_is_out_of_the_means(params: Params) -> None:
    """As where the expert scores 0."""
    drop("maths", "math")
    board = partial(params)
    assert (board.benchmarks, board.benchmarks_in_mean) == (["gsm8k", "math"], ["gsm8k"])
    assert board.summary["mean_normalised"]["wudi"] == pytest.approx(75)
    assert board.wide("score")["math"]["wudi"] == 0.4
    assert cautions(board)[0] == "maths (expert): not measured on math: math is left out of mean normalised scores"


@pytest.mark.parametrize("benchmark", [None, "gsm8k"])
def test_without_the_base_recipes_are_ranked_all_the_same(params: Params, benchmark: str | None) -> None:
    """A mean needs no base, and the order of benchmarks stays that of params.yaml."""
    whole = gather_files(params)
    drop("base", benchmark)
    board = partial(params)
    assert board.benchmarks == ["gsm8k", "math"]
    assert board.letters == whole.letters
    assert board.summary["mean_normalised"].drop("base").equals(whole.summary["mean_normalised"].drop("base"))
    assert pd.isna(board.summary["mean_normalised"]["base"])
    assert "wudi was not compared with the base." in finding(board)


def test_without_experts_nothing_is_ranked(params: Params) -> None:
    drop("gsm")
    drop("maths")
    board = partial(params)
    assert (board.first, board.groups, board.letters) == (None, [], {})
    assert board.experts == ["gsm", "maths"]
    said = "No recipe can be ranked: every declared expert scores 0 on its benchmark, or is not measured on it."
    assert finding(board) == said
    assert said in printed(wide(board))


def test_a_benchmark_that_no_recipe_has_is_left_out(params: Params) -> None:
    for name in RECIPES:
        drop(name, "math")
    board = partial(params)
    assert (board.benchmarks, board.left_out, board.ranked) == (["gsm8k"], ["math"], ["wudi", "same", "average"])
    text = "wudi, same and average: not measured on math, as no recipe is: left out of this leaderboard"
    assert sorted(cautions(board)[0].partition(":")[0].replace(",", " and").split(" and ")) == sorted(RECIPES)
    assert cautions(board)[0].partition(":")[2] == text.partition(":")[2]
    assert banner(board).startswith("This leaderboard is partial: 3 of 6 models lack scores or samples")
    assert not [column for column in wide(board) if str(column).startswith("math")]


def test_no_recipe_is_complete(params: Params) -> None:
    drop("wudi", "math")
    drop("same", "gsm8k")
    drop("average", "gsm8k")
    board = partial(params)
    said = "No recipe can be ranked: each lacks a benchmark of the mean normalised score."
    assert finding(board) == said
    assert said in printed(wide(board))


def test_one_complete_recipe(params: Params) -> None:
    drop("same", "gsm8k")
    drop("average")
    assert finding(partial(params)).startswith("wudi, the only recipe that is complete, has a mean normalised score of")


@pytest.mark.parametrize("models", [["same"], list(ANSWERS)])
def test_without_samples_models_are_ranked_and_not_compared(params: Params, models: list[str]) -> None:
    for name in models:
        shutil.rmtree(paths.samples(name))
    board = partial(params)
    assert board.ranked == ["wudi", "same", "average"]
    assert "same" in board.not_compared
    assert {gap.what for gap in board.missing} == {"samples"}
    assert not set(models) & {*board.comparisons["first"], *board.comparisons["second"]}
    assert "samples missing on gsm8k and math, so without comparisons there" in cautions(board)[0]
    assert not any("not the mean of" in text for text in cautions(board))


@pytest.mark.parametrize("names", [["maths", "gsm"], ["base", "gsm", "maths", "same", "average"]])
def test_report_and_pictures_are_made_of_what_there_is(params: Params, names: list[str]) -> None:
    for name in names:
        drop(name)
    write_results(gather_files(params, partial=True), params)
    assert "This leaderboard is partial" in paths.REPORT.read_text(encoding="utf-8")


def test_without_a_single_recipe_there_is_nothing_to_show(params: Params) -> None:
    for name in RECIPES:
        drop(name)
    with pytest.raises(WudiError, match=r"^scores: no recipe .* dvc repro --keep-going$"):
        gather_files(params, partial=True)


def test_broken_files_are_no_missing_ones(params: Params) -> None:
    paths.scores("wudi").write_text('{"mean": 0.5')
    with pytest.raises(WudiError, match="not a scores file"):
        gather_files(params, partial=True)


def test_what_refuses_a_hole_says_how_to_look_all_the_same(params: Params) -> None:
    drop("average")
    with pytest.raises(WudiError, match=r"or see what is there with --partial$"):
        gather_files(params)


def test_looking_writes_nothing(params: Params) -> None:
    """What is missing may be restored by DVC, which then finds nothing to record again."""
    whole = current(params)
    before = paths.LEADERBOARD.read_bytes()
    drop("average")
    table = current(params, partial=True)
    assert paths.LEADERBOARD.read_bytes() == before
    assert (whole["missing"].count(), table["missing"].count()) == (0, 1)
    assert table["missing"]["average"] == "not evaluated; make it with: dvc repro evaluate_recipe@average"


def test_warnings_are_read_back_whatever_is_in_them(params: Params) -> None:
    """Also from tables of before, which had | between them, and no column of what is missing."""
    texts = ["a | b", 'says "yes"', "[1]"]
    edit_scores("wudi", warnings=texts)
    table = current(params)
    lines = printed(table).splitlines()
    assert [line for line in lines if line.startswith("warning: wudi: ")] == [
        f"warning: wudi: {text}" for text in texts
    ]
    older = table.drop(columns="missing").assign(warnings=None).astype({"warnings": object})
    older.loc["wudi", "warnings"] = "the backend is slow | an old harness"
    assert printed(older).splitlines()[-2:] == ["warning: wudi: the backend is slow", "warning: wudi: an old harness"]
