"""Two versions beside each other: what moved, what is really better or worse, and the best of all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from tasks import paths
from tasks.answers_file import write_answers
from tasks.leaderboard.compare import LEVEL
from tasks.versions import History, Version, best, compare, differences, moved, new_best, read_version
from tasks.versions.change import NO_MEAN_OF_VERDICTS, SAME
from tasks.versions.moved import in_words
from tests.tasks.answer_lines import line
from tests.tasks.small_project import ANSWERS, pattern
from tests.tasks.versions_project import BASE, NEW_MATHS, WORSE, Project

FIRST, FELL, MORE, OTHER = "night/2026-11-01", "night/2026-11-03", "night/2026-11-03.2", "night/2026-11-03.10"


def at(project: Project, *revisions: str | None) -> list[Version]:
    """The versions at some revisions."""
    history = History(project.root)
    return [history.read(revision) for revision in revisions]


def phrases(project: Project, *revisions: str | None) -> list[str]:
    """What moved between two revisions, in words."""
    return [str(move) for move in moved(*at(project, *revisions))]


def test_what_moved(told: Project) -> None:
    assert phrases(told, FIRST, FIRST) == []
    assert phrases(told, FIRST, FELL) == ["expert maths a1b2c3d -> fffffff", "recipe wudi iterations set to 100"]
    assert phrases(told, FELL, MORE) == ["recipe best added"]
    assert phrases(told, MORE, FELL) == ["recipe best removed"]
    assert phrases(told, MORE, OTHER) == ["evaluation benchmarks.math.limit set to 15"]
    assert in_words(moved(*at(told, FIRST, FIRST))) == "nothing"


def test_models_are_named_by_commit_and_told_apart_by_content(told: Project, tmp_path: Path) -> None:
    """The same data under another revision is the same model; other data under the same one is not."""
    project = told.copy(tmp_path / "copy")
    project.night("one", ANSWERS, base__revision=None)
    project.put(paths.BASE / "weights", "zoo:base None")
    project.edit({"base__revision": "main"})
    project.commit("two")
    assert phrases(project, "one", "two") == []
    project.put(paths.BASE / "weights", "other")
    project.commit("three")
    one, two = (version.lock.outputs["models/base"][:7] for version in at(project, "two", "three"))
    assert one != two
    assert phrases(project, "two", "three") == [f"base {one} -> {two}"]
    assert phrases(project, FIRST, "one") == [f"base {BASE[:7]} -> {one}"]


def test_code_moved_if_it_decides_scores(told: Project, tmp_path: Path) -> None:
    project = told.copy(tmp_path / "copy")
    for path in ("wudi/code.py", "tasks/evaluation/code.py", "tasks/leaderboard/code.py", "tasks/similarity.py"):
        project.put(path, "second\n")
    project.commit("later")
    assert phrases(project, OTHER, "later") == ["code tasks/evaluation", "code wudi"]
    assert in_words(moved(*at(project, OTHER, "later"))) == "code in tasks/evaluation and wudi"


def test_a_fall_is_tested_over_the_same_questions(told: Project) -> None:
    step = differences(*at(told, FIRST, FELL))
    change, mean = step.of("wudi", "gsm8k"), step.of("wudi")
    assert change is not None
    assert mean is not None
    assert (change.before, change.after, change.questions) == (60, 20, 40)
    assert (change.gained, change.lost, change.test) == (0, 16, "McNemar")
    assert change.p == pytest.approx(binomtest(0, 16).pvalue)
    assert (mean.gained, mean.lost, mean.questions) == (0, 17, 60)
    assert mean.difference == pytest.approx(-22.5)
    assert mean.low < mean.difference < mean.high < 0
    assert step.falls == [sentence for sentence in step.falls if sentence.startswith("wudi fell in mean score over 2")]
    assert len(step.falls) == 1
    assert "on gsm8k from 60.0 to 20.0" in step.falls[0]
    assert "on math" not in step.falls[0]
    assert step.gains == []


def test_backwards_a_fall_is_a_gain(told: Project) -> None:
    forth, back = (differences(*at(told, *order)) for order in ((FIRST, FELL), (FELL, FIRST)))
    assert [sentence.split()[0] for sentence in back.gains] == ["wudi"]
    assert not back.falls
    for one, other in zip(forth.changes, back.changes, strict=True):
        assert one.difference == pytest.approx(-other.difference)
        assert (one.gained, one.lost) == (other.lost, other.gained)
        np.testing.assert_allclose([one.p, one.p_adjusted], [other.p, other.p_adjusted])
        np.testing.assert_allclose([one.low, one.high], [-other.high, -other.low])


def test_recipes_that_answer_alike_make_no_other_test_weaker(told: Project) -> None:
    step = differences(*at(told, FIRST, FELL))
    alike = step.of("same")
    assert alike is not None
    assert (alike.reason, alike.tested, alike.difference) == (SAME, False, 0)
    mean = step.of("wudi")
    assert mean is not None
    assert mean.p_adjusted == mean.p
    scores = step.table().query("benchmark != 'mean'").dropna(subset="p")
    assert scores["recipe"].tolist() == ["wudi", "wudi"]


def test_means_are_one_family_and_scores_another(told: Project, tmp_path: Path) -> None:
    project = told.copy(tmp_path / "copy")
    models = {"base", "gsm", "maths"}
    shifted = {
        name: scores
        if name in models
        else {key: [*row[-3 - number :], *row[: -3 - number]] for key, row in scores.items()}
        for number, (name, scores) in enumerate(ANSWERS.items())
    }
    project.night(None, shifted)
    table = differences(*at(project, FIRST, None)).table()
    assert len(table) == 9
    assert table["tested"].all()
    for _, members in table.groupby(table["benchmark"] == "mean"):
        assert members["p_adjusted"].tolist() == pytest.approx(multipletests(members["p"], method="holm")[1].tolist())
    assert (table["told_apart"] == (table["p_adjusted"] < LEVEL)).all()


def test_other_questions_are_said_and_not_tested(told: Project, tmp_path: Path) -> None:
    """Fewer questions; and as many of them, with other right answers."""
    step = differences(*at(told, MORE, OTHER))
    reasons = {change.benchmark: change.reason for change in step.changes if change.recipe == "wudi"}
    assert reasons == {"gsm8k": SAME, "math": "math: questions 20 -> 15", "mean": SAME}
    assert all(change.benchmarks == ("gsm8k",) for change in step.means)
    assert any("untested: math: questions 20 -> 15" in sentence for sentence in step.sentences())
    assert any("over other questions" in sentence for sentence in step.sentences())

    project = told.copy(tmp_path / "copy")
    project.night(None)
    for folder in (project.root / paths.SAMPLES).iterdir():
        right = ANSWERS[folder.name]
        rows = {
            name: [line(at, value, target="else", task="t") for at, value in enumerate(row)]
            for name, row in right.items()
        }
        write_answers(folder, rows)
    changes = differences(*at(project, FIRST, None)).changes
    assert {change.reason for change in changes if change.benchmark == "math"} == {"math: other questions"}
    assert not any(change.tested for change in changes)


def test_scores_that_are_no_mean_of_their_verdicts(told: Project, tmp_path: Path) -> None:
    project = told.copy(tmp_path / "copy")
    project.night("sound", WORSE)
    file = project.root / paths.scores("wudi")
    file.write_text(file.read_text().replace('"score": 0.2,', '"score": 0.3,'))
    step = differences(*at(project, FIRST, None))
    change, mean = step.of("wudi", "gsm8k"), step.of("wudi")
    assert change is not None
    assert mean is not None
    assert (change.after, change.tested, change.reason) == (30, False, NO_MEAN_OF_VERDICTS)
    assert (mean.tested, mean.reason) == (False, NO_MEAN_OF_VERDICTS)


def test_a_few_lines_say_it(told: Project) -> None:
    for before, after in ((FIRST, FELL), (FELL, MORE), (MORE, OTHER), (FIRST, OTHER), (OTHER, FIRST)):
        assert 2 <= len(differences(*at(told, before, after)).sentences()) <= 6
    lines = differences(*at(told, FIRST, FELL)).sentences()
    assert lines[0].startswith(f"{FELL} beside {FIRST}: expert maths a1b2c3d -> fffffff, recipe wudi")
    assert lines[1] == "same has the highest mean score, 50.0; before, it was wudi and same with 50.0."
    assert lines[2].startswith("wudi fell in mean score")


def test_markdown_has_the_sentences_and_every_mean(told: Project) -> None:
    step = differences(*at(told, FIRST, FELL))
    page = step.markdown()
    assert page.startswith(f"# {FELL} beside {FIRST}\n")
    rows = [line for line in page.splitlines() if line.startswith("| ")][1:]
    assert [row.split(" | ")[0] for row in rows] == ["| average", "| wudi", "| wudi", "| wudi", "| same"]
    assert any("**-22.5**" in row for row in rows)
    assert len({row.count(" | ") for row in rows}) == 1


def test_versions_that_share_no_recipe(told: Project, tmp_path: Path) -> None:
    project = told.copy(tmp_path / "copy")
    project.night(None, {name: ANSWERS[name] for name in ("base", "gsm", "maths")} | {"new": ANSWERS["wudi"]})
    step = differences(*at(project, FIRST, None))
    assert step.changes == ()
    assert (step.added, step.removed) == (["new"], ["average", "wudi", "same"])
    assert any("share no recipe" in sentence for sentence in step.sentences())
    assert "|---|" not in step.markdown()


def test_nights_in_which_nothing_changed_are_one(told: Project, tmp_path: Path) -> None:
    """Other commits too, if they are of text that decides nothing."""
    project = told.copy(tmp_path / "copy")
    project.put("README.md", "about\n")
    project.commit("night/2026-11-04")
    comparison = compare(History(project.root).nights())
    assert [version.names for version in comparison.versions] == [
        (FIRST, "night/2026-11-02"),
        (FELL,),
        (MORE,),
        (OTHER, "night/2026-11-04"),
    ]
    assert [step.after for step in comparison.steps] == comparison.versions[1:]
    assert [step.before.label for step in comparison.steps] == [version.label for version in comparison.versions[:-1]]


def test_one_version_has_nothing_beside_it(told: Project) -> None:
    comparison = compare(at(told, FIRST))
    assert comparison.steps == []
    found = best(comparison.versions)
    assert found is not None
    assert found.score == 50
    assert best([]) is None


def test_the_best_is_measured_as_the_newest_version(told: Project) -> None:
    first, fell, more, other = at(told, FIRST, FELL, MORE, OTHER)
    highest = best([first, fell, more])
    assert highest is not None
    assert (highest.version, highest.recipe, highest.score) == (more, "best", 82.5)
    earliest = best([first, fell])
    assert earliest is not None
    assert earliest.version is first
    only = best([first, more, other])
    assert only is not None
    assert only.version is other


def test_a_new_best_beats_all_before_it(told: Project) -> None:
    first, fell, more, other = at(told, FIRST, FELL, MORE, OTHER)
    found = new_best(more, [first, fell])
    assert found is not None
    assert (found.now.recipe, found.earlier.version, found.earlier.score) == ("best", first, 50)
    assert found.told_apart
    assert found.change.difference == pytest.approx(32.5)
    assert new_best(fell, [first]) is None
    assert new_best(other, [first, fell, more]) is None
    assert new_best(first, []) is None


def test_a_new_best_by_luck_is_not_told_apart(told: Project, tmp_path: Path) -> None:
    project = told.copy(tmp_path / "copy")
    project.night(None, {**ANSWERS, "wudi": {"gsm8k": pattern(25, 40), "math": pattern(8, 20)}})
    first, workspace = at(project, FIRST, None)
    found = new_best(workspace, [first])
    assert found is not None
    assert found.now.recipe == "wudi"
    assert found.change.tested
    assert not found.told_apart


@pytest.mark.long
def test_false_alarms_are_rare(told: Project) -> None:
    """Versions whose recipes are equally good: in 200 steps, hardly more than 5 % tell any recipe apart."""
    version = read_version(told.root, FIRST)
    generator = np.random.default_rng(0)
    alarms = 0
    for _ in range(200):
        steps = differences(drawn(version, generator), drawn(version, generator), with_intervals=False)
        alarms += any(change.told_apart for change in steps.means)
    assert alarms <= 200 * LEVEL + 3 * np.sqrt(200 * LEVEL * (1 - LEVEL))


def drawn(version: Version, generator: np.random.Generator) -> Version:
    """The version with answers of models that get half of all questions right."""
    known = {}
    rows = []
    for row in version.scores.to_dict("records"):
        verdicts = version.verdicts(row["model"], row["benchmark"])
        assert verdicts is not None
        new = verdicts.rows.copy()
        new["correct"] = generator.random(len(new)) < 0.5
        name = f"{row['model']} {row['benchmark']}"
        known[name] = type(verdicts)(verdicts.tasks, new)
        rows.append({**row, "score": new["correct"].mean()})
    answers = {
        model: {benchmark: (f"{model} {benchmark}", Path()) for benchmark in files}
        for model, files in version.answers.items()
    }
    return replace(version, scores=pd.DataFrame(rows), answers=answers, remembered=lambda md5, _: known[md5])


def test_a_pin_is_a_move_though_scores_stay(told: Project, tmp_path: Path) -> None:
    project = told.copy(tmp_path / "copy")
    project.night("moved", ANSWERS, experts__maths__revision=NEW_MATHS)
    comparison = compare(at(project, FIRST, "moved"))
    assert len(comparison.versions) == 2
    assert [str(move) for move in comparison.steps[0].moves] == ["expert maths a1b2c3d -> fffffff"]
    assert {change.reason for change in comparison.steps[0].changes} == {SAME}


def test_models_without_hashes_go_by_their_sources(told: Project, tmp_path: Path) -> None:
    """A revision from before there was a dvc.lock, or one whose lock was not committed."""
    project = told.copy(tmp_path / "copy")
    project.git("rm", "-q", "--cached", "dvc.lock")
    project.git("commit", "-q", "-m", "no lock")
    assert phrases(project, OTHER, "HEAD") == []
    project.edit({"base__revision": None, "experts__maths__revision": BASE, "experts__gsm__source": "owner/gsm"})
    project.git("commit", "-q", "-a", "-m", "other sources")
    moves = phrases(project, OTHER, "HEAD")
    assert moves[0] == f"base {BASE[:7]} -> zoo:base"
    assert moves[1:3] == ["expert gsm zoo:gsm8k -> owner/gsm", f"expert maths {NEW_MATHS[:7]} -> {BASE[:7]}"]
