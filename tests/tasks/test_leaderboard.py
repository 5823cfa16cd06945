"""The leaderboard: scores and samples in; ranks, comparisons and tables out."""

import io
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from tasks import paths
from tasks.leaderboard import compare, gather, gather_files, write_results
from tasks.leaderboard.__main__ import current
from tasks.leaderboard.compare import compare_recipes, holm, sign_flip_p
from tasks.leaderboard.show import print_leaderboard
from tasks.leaderboard.table import wide
from tasks.leaderboard.words import finding
from tasks.orphans import remove_orphans
from tasks.params import Params
from tests.tasks.small_project import ANSWERS, EXPERTS, RECIPES, make_project, pattern, write, write_answers
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
    assert board.best == "wudi"
    assert board.not_told_apart == ["same"]
    against = board.against_best
    assert list(against.loc["same", ["difference", "low", "high", "p", "p_adjusted"]]) == [0, 0, 0, 1, 1]
    assert against.loc["average", "difference"] == pytest.approx(77.5 - 37.5)
    assert against.loc["average", "p"] == pytest.approx(2 * 0.5**19)
    assert finding(board).endswith("but cannot be told apart from same.")


@pytest.mark.parametrize(("wins", "losses", "expected"), [(8, 2, 0.109375), (10, 0, 0.001953125), (5, 5, 1.0)])
def test_equal_weights_give_mcnemars_exact_test(wins: int, losses: int, expected: float) -> None:
    """The two-sided binomial probability of the discordant questions; the concordant ones do not matter."""
    differences = np.array([0.25] * wins + [-0.25] * losses + [0.0] * 7)
    assert sign_flip_p(differences) == pytest.approx(expected)


def test_unequal_weights_give_the_exact_sign_flip_test() -> None:
    """Against a list of all 2^12 sign patterns."""
    differences = np.array([0.3, 0.3, 0.3, -0.3, 0.5, 0.5, -0.5, 0.7, 0.7, -1.1, 1.3, 1.3])
    sums = np.array([np.dot(signs, differences) for signs in itertools.product([-1, 1], repeat=12)])
    expected = (np.abs(sums) >= abs(differences.sum()) - 1e-9).mean()
    assert sign_flip_p(differences) == pytest.approx(expected)


def test_the_normal_limit_agrees_with_the_exact_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """With hundreds of differing questions the two are the same to two digits."""
    generator = np.random.default_rng(0)
    differences = np.concatenate([size * generator.choice([-1, 1], 400, p=[0.45, 0.55]) for size in (0.3, 0.7)])
    exact = sign_flip_p(differences)
    monkeypatch.setattr(compare, "EXACT_SUPPORT", 0)
    assert sign_flip_p(differences) == pytest.approx(exact, rel=0.1)


def test_false_alarms_stay_rare_when_all_recipes_are_alike() -> None:
    """The best of 6 equal recipes is told apart from some other in about 5 % of experiments or fewer."""
    generator = np.random.default_rng(1)
    index = pd.MultiIndex.from_product([["math"], ["zoo_math"], range(100)], names=["benchmark", "task", "question"])
    alarms = 0
    for _ in range(40):
        answers = pd.DataFrame(generator.integers(0, 2, (100, 6)).astype(float), index, [f"r{i}" for i in range(6)])
        answers = answers[answers.mean().sort_values(ascending=False, kind="stable").index]
        pairs = compare_recipes(answers, pd.Series({"math": 1.0}))
        alarms += bool((pairs["p_adjusted"][pairs["first"] == answers.columns[0]] < 0.05).any())
    assert alarms <= 5


def test_holm_by_hand() -> None:
    """The smallest of 4 counts 4 times, the next 3 times, never less than the one before."""
    assert holm(np.array([0.04, 0.01, 0.03, 0.9])) == pytest.approx([0.09, 0.04, 0.09, 0.9])


def test_the_weight_of_a_benchmark_is_not_its_number_of_questions() -> None:
    """A recipe ahead on the large benchmark and far behind on the small one is behind, as in the mean."""
    index = pd.MultiIndex.from_tuples(
        [("large", "t", number) for number in range(200)] + [("small", "t", number) for number in range(20)],
        names=["benchmark", "task", "question"],
    )
    answers = pd.DataFrame({"b": pattern(100, 200) + pattern(16, 20), "a": pattern(110, 200) + pattern(2, 20)}, index)
    (row,) = compare_recipes(answers, pd.Series({"large": 1.0, "small": 1.0})).to_dict("records")
    assert row["difference"] == pytest.approx((-5 + 70) / 2)
    assert (row["first_only"], row["second_only"]) == (14, 10)
    assert row["p"] < 0.01


def test_an_expert_that_scores_0_leaves_its_benchmark_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blank on that benchmark, the mean over the others, and a word in the report."""
    monkeypatch.chdir(tmp_path)
    params = make_project(tmp_path, {**ANSWERS, "maths": {"gsm8k": pattern(4, 40), "math": pattern(0, 20)}})
    board = gather_files(params)
    assert board.wide("normalised")["math"].isna().all()
    assert board.summary["mean_normalised"]["wudi"] == pytest.approx(75.0)
    assert board.against_best["difference"]["average"] == pytest.approx(50.0)
    write_results(board, params)
    assert "math: left out of mean normalised scores" in paths.REPORT.read_text(encoding="utf-8")
    assert json.loads(paths.METRICS.read_text())["normalised"]["wudi"] == pytest.approx(75.0)


def test_all_zero_scores_are_written_and_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be ranked, nothing is infinite, and every output says so."""
    monkeypatch.chdir(tmp_path)
    zeros = {name: {"gsm8k": pattern(0, 40), "math": pattern(0, 20)} for name in ANSWERS}
    params = make_project(tmp_path, zeros)
    board = gather_files(params)
    assert board.best is None
    write_results(board, params)
    assert "No recipe can be ranked" in paths.REPORT.read_text(encoding="utf-8")
    assert json.loads(paths.METRICS.read_text()) == {"normalised": {}, "score": dict.fromkeys(sorted(RECIPES), 0.0)}
    for file in ("scores.csv", "leaderboard.csv", "metrics.json", "report.html"):
        assert not re.search(r"\b(inf|nan|NaN)\b", (paths.RESULTS / file).read_text(encoding="utf-8")), file
    assert "No recipe can be ranked" in printed(current(params))


def test_tables_read_back_with_pandas(params: Params) -> None:
    """leaderboard.csv: best first, with seconds; scores.csv: tidy, without."""
    write_results(gather_files(params), params)
    table = pd.read_csv(paths.LEADERBOARD, index_col="model")
    assert table.index[0] == "wudi"
    assert list(table.loc["wudi", ["gsm8k_score", "math_normalised", "rank"]]) == [0.6, 80.0, 1.0]
    assert table["merge_seconds"].notna().tolist() == [True] * 3 + [False] * 3
    tidy = pd.read_csv(paths.SCORES_TABLE)
    assert tidy.groupby("kind")["model"].nunique().to_dict() == {"base": 1, "expert": 2, "recipe": 3}
    assert not [column for column in tidy if "second" in str(column)]
    assert json.loads(paths.METRICS.read_text())["best"] == {
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
        ("questions", r"samples/wudi: answers other questions than average does; .*evaluate_recipe@wudi"),
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
    else:
        write_answers(Path(), "wudi", {"gsm8k": pattern(24, 40), "math": pattern(8, 21)})
    with pytest.raises(WudiError, match=message) as caught:
        gather_files(params)
    assert "\n" not in str(caught.value)


def test_an_error_that_lm_eval_cannot_estimate_is_blank(params: Params) -> None:
    """lm-eval writes N/A for the error of a single question."""
    values = json.loads(paths.scores("wudi").read_text())
    for evaluation in values["evaluations"]:
        evaluation["stderr"] = "N/A"
    paths.scores("wudi").write_text(json.dumps(values))
    board = gather_files(params)
    assert board.wide("stderr").loc["wudi"].isna().all()
    write_results(board, params)


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


def printed(table: pd.DataFrame, width: int = 80, *, terminal: bool = False) -> str:
    """What `print_leaderboard` writes."""
    out = io.StringIO()
    print_leaderboard(Console(file=out, width=width, force_terminal=terminal, highlight=False, soft_wrap=True), table)
    return out.getvalue()


def test_the_terminal_table_fits_and_marks_the_best(params: Params) -> None:
    """Plain text in a pipe; on a narrow terminal no line is longer than it."""
    table = current(params)
    lines = printed(table).splitlines()
    assert not any("\x1b" in line for line in lines)
    assert [line.split()[:2] for line in lines[2:5]] == [["1*", "wudi"], ["1=", "same"], ["3", "average"]]
    assert "77.5" in lines[2]
    assert lines[2].rstrip().endswith("1.9")
    assert "results/report.html" in lines[-1]
    narrow = re.sub(r"\x1b\[[\d;]*m", "", printed(table, 50, terminal=True)).splitlines()
    assert all(len(line) <= 50 for line in narrow[:9])
    assert "±" not in narrow[2]


def test_four_benchmarks_fit_100_columns(params: Params) -> None:
    """With names of the usual length."""
    board = gather_files(params)
    more = board.scores.assign(benchmark=board.scores["benchmark"].map({"gsm8k": "humaneval", "math": "mbpp"}))
    scores = pd.concat([board.scores, more])
    answers = pd.DataFrame(
        columns=RECIPES, index=pd.MultiIndex.from_tuples([], names=["benchmark", "task", "question"])
    )
    wider = wide(gather(scores, answers, {**EXPERTS, "humaneval": "gsm", "mbpp": "maths"}))
    lines = printed(wider).splitlines()
    assert max(len(line) for line in lines[:8]) <= 100


def test_forty_recipes_with_long_names_are_all_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No name is cut, no pair of recipes left out."""
    monkeypatch.chdir(tmp_path)
    names = [f"recipe_{number:02d}_".ljust(60, "x") for number in range(40)]
    models = {name: ANSWERS[name] for name in ("base", "gsm", "maths")} | dict.fromkeys(names, ANSWERS["wudi"])
    board = gather_files(make_project(tmp_path, models, names))
    assert len(board.comparisons) == 40 * 39 / 2
    assert all(name in printed(wide(board)) for name in names)
