"""The leaderboard: scores and samples in; ranks, comparisons and tables out."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks import paths
from tasks.leaderboard import gather_files, write_results
from tasks.leaderboard.current import current
from tasks.leaderboard.finding import finding
from tasks.orphans import remove_orphans
from tasks.params import Params
from tests.tasks.board_tools import edit_scores, printed
from tests.tasks.small_project import ANSWERS, RECIPES, make_project, pattern, write, write_answers
from wudi.errors import WudiError


def test_normalised_scores_and_ranks_by_hand(params: Params) -> None:
    """wudi: 0.6 / 0.8 and 0.4 / 0.5 -> 75 and 80, mean 77.5; equal means share rank 1."""
    board = gather_files(params)
    assert list(board.wide("normalised").loc["wudi"]) == pytest.approx([75.0, 80.0])
    assert list(board.wide("normalised").loc["maths"]) == pytest.approx([12.5, 100.0])
    assert list(board.summary.index) == ["wudi", "same", "average", "base", "gsm", "maths"]
    assert board.summary["rank"].tolist()[:3] == [1, 1, 3]
    assert board.summary["rank"].isna().tolist() == [False] * 3 + [True] * 3
    assert board.summary["mean_normalised"].tolist() == pytest.approx([77.5, 77.5, 37.5, 5.0, 50.0, 56.25])
    errors = [100 * np.sqrt(0.6 * 0.4 / 40) / 0.8, 100 * np.sqrt(0.4 * 0.6 / 20) / 0.5]
    assert board.summary["mean_normalised_stderr"]["wudi"] == pytest.approx(np.hypot(*errors) / 2)


def test_the_paired_test_says_who_is_best(params: Params) -> None:
    """Identical answers are p = 1; 16 + 3 questions one way and none the other are beyond doubt."""
    board = gather_files(params)
    assert board.first == "wudi"
    assert board.not_told_apart == ["same"]
    against = board.against_first
    assert list(against.loc["same", ["difference", "p", "p_adjusted"]]) == [0, 1, 1]
    assert against.loc["same", ["low", "high"]].isna().all(), "nothing differs, and nothing shows how far it might"
    assert board.letters == {"wudi": "a", "same": "a", "average": "b"}
    assert against.loc["average", "difference"] == pytest.approx(77.5 - 37.5)
    assert against.loc["average", "p"] < 0.001
    assert list(against.index) == ["same", "average", "base", "gsm", "maths"]


def test_an_expert_that_scores_0_leaves_its_benchmark_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blank on that benchmark, the mean over the others, and a word in the report; compared on it nevertheless."""
    monkeypatch.chdir(tmp_path)
    params = make_project(tmp_path, {**ANSWERS, "maths": {"gsm8k": pattern(4, 40), "math": pattern(0, 20)}})
    board = gather_files(params)
    assert board.wide("normalised")["math"].isna().all()
    assert board.summary["mean_normalised"]["wudi"] == pytest.approx(75.0)
    assert board.against_first["difference"]["average"] == pytest.approx(50.0)
    write_results(board, params)
    assert "math is left out of mean normalised scores" in paths.REPORT.read_text(encoding="utf-8")
    on_math = board.comparisons[board.comparisons["benchmark"] == "math"].set_index(["first", "second"])
    assert on_math.loc[("wudi", "average"), "difference"] == pytest.approx(15.0)
    assert json.loads(paths.METRICS.read_text())["normalised"]["wudi"] == pytest.approx(75.0)


def test_all_zero_scores_are_written_and_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be ranked, nothing is infinite, and every output says so."""
    monkeypatch.chdir(tmp_path)
    zeros = {name: {"gsm8k": pattern(0, 40), "math": pattern(0, 20)} for name in ANSWERS}
    params = make_project(tmp_path, zeros)
    board = gather_files(params)
    assert board.first is None
    write_results(board, params)
    assert "No recipe can be ranked" in paths.REPORT.read_text(encoding="utf-8")
    assert json.loads(paths.METRICS.read_text()) == {
        "benchmarks_in_mean": 0,
        "warnings": len(board.warnings),
        "normalised": {},
        "score": dict.fromkeys(sorted(RECIPES), 0.0),
    }
    for file in ("scores.csv", "leaderboard.csv", "comparisons.csv", "metrics.json", "report.html"):
        assert not re.search(r"\b(inf|nan|NaN)\b", (paths.RESULTS / file).read_text(encoding="utf-8")), file
    assert "No recipe can be ranked" in printed(current(params))


def test_tables_read_back_with_pandas(params: Params) -> None:
    """leaderboard.csv: best first, with seconds; scores.csv: tidy, without."""
    board = gather_files(params)
    write_results(board, params)
    table = pd.read_csv(paths.LEADERBOARD, index_col="model")
    assert table.index[0] == "wudi"
    assert list(table.loc["wudi", ["gsm8k_score", "math_normalised", "rank"]]) == [0.6, 80.0, 1.0]
    assert table["merge_seconds"].notna().tolist() == [True] * 3 + [False] * 3
    tidy = pd.read_csv(paths.SCORES_TABLE)
    assert tidy.groupby("kind")["model"].nunique().to_dict() == {"base": 1, "expert": 2, "recipe": 3}
    assert not [column for column in tidy if "second" in str(column)]
    metrics = json.loads(paths.METRICS.read_text())
    assert (metrics["benchmarks_in_mean"], metrics["warnings"]) == (2, len(board.warnings))
    assert metrics["first"] == {
        "recipe": "wudi",
        "normalised": 77.5,
        "score": 0.5,
        "not_told_apart": 1,
    }


def test_a_clone_that_measured_nothing_keeps_the_seconds_of_the_table(params: Params) -> None:
    """Timings are no DVC outputs: without them the earlier table's seconds stay, or cells are blank."""
    write_results(gather_files(params), params)
    for file in paths.TIMINGS.rglob("*.json"):
        file.unlink()
    assert current(params)["merge_seconds"]["wudi"] == 1.93
    paths.LEADERBOARD.unlink()
    assert current(params)["merge_seconds"].isna().all()
    assert paths.LEADERBOARD.is_file()


def test_a_clone_without_scores_prints_the_table_that_it_has(params: Params) -> None:
    """With neither scores nor a table, the error names what to run."""
    write_results(gather_files(params), params)
    for file in paths.SCORES.iterdir():
        file.unlink()
    assert current(params).index[0] == "wudi"
    paths.LEADERBOARD.unlink()
    with pytest.raises(WudiError, match="dvc repro evaluate_base"):
        current(params)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("missing", r"scores/wudi\.json: not found; make it with: dvc repro evaluate_recipe@wudi"),
        ("broken", r"scores/wudi\.json: not a scores file .*evaluate_recipe@wudi"),
        ("benchmark", r"scores/wudi\.json: has no score on math; .*evaluate_recipe@wudi"),
        ("samples", r"samples/wudi/math\.jsonl\.gz: not found; .*evaluate_recipe@wudi"),
        ("truncated", r"samples/wudi/math\.jsonl\.gz: not a samples file .*evaluate_recipe@wudi"),
        ("questions", r"samples/wudi: answers other questions than base does; .*evaluate_base evaluate_recipe@wudi"),
        ("targets", r"samples/wudi: answers other questions than base does; .*evaluate_base evaluate_recipe@wudi"),
        (
            "verdict",
            r"samples/wudi/math\.jsonl\.gz: not a samples file .*`correct` is no finite .*evaluate_recipe@wudi",
        ),
        ("nan", r"scores/wudi\.json: not a scores file .*finite.*evaluate_recipe@wudi"),
    ],
)
def test_a_missing_or_broken_file_is_one_line(params: Params, damage: str, message: str) -> None:
    """The line names the file and the command that makes it."""
    scores, samples = paths.scores("wudi"), paths.samples("wudi") / "math.jsonl.gz"
    if damage == "missing":
        scores.unlink()
    elif damage == "broken":
        scores.write_text('{"mean": 0.5')
    elif damage == "benchmark":
        values = json.loads(scores.read_text())
        scores.write_text(json.dumps({"evaluations": values["evaluations"][:1]}))
    elif damage == "samples":
        samples.unlink()
    elif damage == "truncated":
        samples.write_bytes(samples.read_bytes()[:-20])
    elif damage == "questions":
        write_answers(Path(), "wudi", {"gsm8k": pattern(24, 40), "math": pattern(8, 21)})
    elif damage == "targets":
        other = gzip.decompress(samples.read_bytes()).replace(b'"target": "1"', b'"target": "2"', 1)
        samples.write_bytes(gzip.compress(other))
    elif damage == "verdict":
        samples.write_bytes(gzip.compress(gzip.decompress(samples.read_bytes()).replace(b"1.0", b"NaN", 1)))
    else:
        values = json.loads(scores.read_text())
        values["evaluations"][0]["score"] = float("nan")
        scores.write_text(json.dumps(values))
    with pytest.raises(WudiError, match=message) as caught:
        gather_files(params)
    assert "\n" not in str(caught.value)


def test_the_order_of_answers_in_a_file_does_not_matter(params: Params) -> None:
    write_results(gather_files(params), params)
    before = paths.COMPARISONS.read_bytes()
    for samples in paths.SAMPLES.rglob("*.gz"):
        lines = gzip.decompress(samples.read_bytes()).splitlines()
        samples.write_bytes(gzip.compress(b"\n".join(lines[::-1])))
    write_results(gather_files(params), params)
    assert paths.COMPARISONS.read_bytes() == before


def test_comparisons_read_back_with_pandas(params: Params) -> None:
    """Every two of six models, by the mean and on two benchmarks; the tiniest p keeps its digits."""
    board = gather_files(params)
    write_results(board, params)
    table = pd.read_csv(paths.COMPARISONS)
    assert len(table) == 15 * 3
    assert not table.drop(columns=["low", "high"]).isna().any(axis=None)
    row = table[(table["first"] == "wudi") & (table["second"] == "base") & (table["benchmark"] == "gsm8k")].iloc[0]
    assert row["p"] == pytest.approx(2 * 0.5**24, rel=1e-5)
    assert (row["difference"], row["test"], row["first_only"], row["second_only"]) == (60.0, "McNemar", 24, 0)


def test_one_recipe_alone_is_compared_with_base_and_experts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    models = {name: ANSWERS[name] for name in ("base", "gsm", "maths", "wudi")}
    params = make_project(tmp_path, models, ["wudi"])
    board = gather_files(params)
    write_results(board, params)
    assert board.letters == {"wudi": "a"}
    assert set(board.comparisons["family"]) == {
        *("recipes with base", "recipes with base, by benchmark"),
        *("with experts", "with experts, by benchmark"),
    }
    assert finding(board) == (
        "wudi, the only recipe, has a mean normalised score of 77.5. wudi is above the base, which has 5.0."
    )
    page = paths.REPORT.read_text(encoding="utf-8")
    assert "Nothing is ranked" not in page
    assert 'class="mark"' not in page, "a single recipe is no first one"


def test_a_single_question_makes_no_differences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is told apart, nothing has an interval, everything is written."""
    monkeypatch.chdir(tmp_path)
    models = {name: {"gsm8k": [float(name != "base")], "math": [float(name in ("maths", "wudi"))]} for name in ANSWERS}
    params = make_project(tmp_path, models)
    board = gather_files(params)
    write_results(board, params)
    assert set(board.letters.values()) == {"a"}
    assert board.comparisons[["low", "high"]].isna().all(axis=None)


def test_tokens_per_second_are_those_of_all_benchmarks(params: Params) -> None:
    """Blank where nothing was measured, and what the table said before where the measurement is gone."""
    timing = {
        "seconds": 30.0,
        "benchmarks": {
            "gsm8k": {"seconds": 10.0, "questions": 40, "tokens": 4000, "tokens_per_second": 400.0},
            "math": {"seconds": 10.0, "questions": 20, "tokens": 1000, "tokens_per_second": 100.0},
            "other": {"seconds": 5.0, "questions": 20, "tokens": None, "tokens_per_second": None},
        },
    }
    write(paths.timing("evaluate", "wudi"), json.dumps(timing))
    speeds = current(params)["tokens_per_second"]
    assert speeds.dropna().to_dict() == {"wudi": 250.0}
    paths.timing("evaluate", "wudi").unlink()
    assert current(params)["tokens_per_second"]["wudi"] == 250.0


def test_an_error_that_lm_eval_cannot_estimate_is_blank(params: Params) -> None:
    """lm-eval writes N/A for the error of a single question."""
    edit_scores("wudi", stderr="N/A")
    board = gather_files(params)
    assert board.wide("stderr").loc["wudi"].isna().all()
    write_results(board, params)


def test_an_error_that_is_not_known_on_one_benchmark_leaves_the_mean_without_one(params: Params) -> None:
    """An error over fewer benchmarks than the mean would be too small or too large."""
    file = paths.scores("wudi")
    content = json.loads(file.read_text())
    content["evaluations"][0]["stderr"] = "N/A"
    file.write_text(json.dumps(content))
    board = gather_files(params)
    assert board.summary["mean_normalised_stderr"].isna().to_dict() == {
        name: name == "wudi" for name in board.summary.index
    }
    write_results(board, params)


def test_an_expert_is_its_own_yardstick(params: Params) -> None:
    """100 on its own benchmark, by definition and without an error."""
    board = gather_files(params)
    errors = board.wide("normalised_stderr")
    assert (errors.loc["gsm", "gsm8k"], errors.loc["maths", "math"]) == (0, 0)
    assert (errors.loc["maths", "gsm8k"] > 0) and (errors.loc["base", "math"] > 0)
    assert board.summary["mean_normalised_stderr"]["maths"] == pytest.approx(errors.loc["maths", "gsm8k"] / 2)


def test_orphans_go_and_everything_else_stays(params: Params) -> None:
    """Outputs of names that left params.yaml are deleted; notes, work in hand and model folders are not."""
    gone = [
        paths.scores("old"),
        paths.samples("old") / "math.jsonl.gz",
        paths.task_vector("old") / "summary.json",
        paths.merged("old") / "merge.json",
    ]
    stays = [
        paths.SCORES / "notes.json",
        paths.SCORES / "notes.txt",
        paths.samples("notes") / "read.me",
        paths.merged("new.partial") / "merge.json",
        paths.merged("unfinished") / "model.safetensors",
        paths.expert("old") / "config.json",
    ]
    for path in [*gone, *stays]:
        write(path, '{"evaluations": []}' if path == gone[0] else "{}")
    known = sorted(path for path in Path().rglob("*") if path.is_file() and path not in gone)
    removed = remove_orphans(params)
    assert removed == [gone[0], *(path.parent for path in gone[1:])]
    assert sorted(path for path in Path().rglob("*") if path.is_file()) == known
    assert remove_orphans(params) == []
