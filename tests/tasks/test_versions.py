"""Versions as they are read from git, DVC's cache and the working tree."""

import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks import paths
from tasks.versions import History, differences, night_tags, read_version, version_table
from tasks.versions.cache import Cache
from tasks.versions.change import NO_ANSWERS, ONLY_MEANS
from tests.tasks.small_project import ANSWERS, pattern
from tests.tasks.versions_project import WORSE, Project
from wudi.errors import WudiError

NIGHTS = ["night/2026-11-01", "night/2026-11-02", "night/2026-11-03", "night/2026-11-03.2", "night/2026-11-03.10"]


def test_nights_are_in_the_order_of_their_dates_and_numbers(told: Project) -> None:
    assert night_tags(told.root) == NIGHTS


def test_tags_of_one_commit_are_one_version(told: Project) -> None:
    versions = History(told.root).read_all(NIGHTS)
    assert [version.names for version in versions] == [tuple(NIGHTS[:2]), *((name,) for name in NIGHTS[2:])]
    assert versions[0].title == "night/2026-11-01, same until night/2026-11-02"


def test_scores_are_those_of_the_answers(told: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Wherever one stands."""
    monkeypatch.chdir(tmp_path)
    for tag, answers in ((NIGHTS[0], ANSWERS), (NIGHTS[2], WORSE)):
        version = read_version(told.root, tag)
        for model, by_benchmark in answers.items():
            for benchmark, correct in by_benchmark.items():
                assert version.score(model, benchmark) == pytest.approx(100 * np.mean(correct))
                verdicts = version.verdicts(model, benchmark)
                assert verdicts is not None
                assert verdicts.correct.tolist() == list(correct)
            assert version.score(model) == pytest.approx(100 * np.mean([np.mean(row) for row in by_benchmark.values()]))


def test_the_table_has_every_score_once(told: Project) -> None:
    versions = History(told.root).read_all(NIGHTS)
    table = version_table(versions)
    assert not table.duplicated(["version", "model", "benchmark"]).any()
    assert len(table) == sum(len(version.scores) + len(version.summary) for version in versions)
    means = table[table["benchmark"] == "mean"].set_index(["version", "model"])["score"]
    others = table[table["benchmark"] != "mean"].groupby(["version", "model"])["score"].mean()
    pd.testing.assert_series_equal(means.sort_index(), others.sort_index())
    normalised = table[(table["model"] == "maths") & (table["benchmark"] == "math")]["normalised"]
    assert normalised.tolist() == pytest.approx([100.0] * len(versions))
    assert set(table[table["wins"] & (table["benchmark"] == "mean")]["model"]) == {"wudi", "same", "best"}


def test_the_working_tree_is_what_lies_there(told: Project, tmp_path: Path) -> None:
    project = told.copy(tmp_path / "copy")
    last = read_version(project.root, NIGHTS[-1])
    assert History(project.root).nights()[-1].label == NIGHTS[-1]
    project.night(None, {**ANSWERS, "wudi": {"gsm8k": pattern(40, 40), "math": pattern(20, 20)}})
    version = read_version(project.root, None)
    assert version.commit is None
    assert version.score("wudi") == 100
    assert History(project.root).nights()[-1].label == "workspace"
    assert read_version(project.root, NIGHTS[-1]).score("wudi") == last.score("wudi")


def test_a_clone_without_the_cache_has_scores_and_no_tests(told: Project, tmp_path: Path) -> None:
    """Scores and errors from results/leaderboard.csv; nobody claims a p."""
    told.git("clone", "-q", str(told.root), str(tmp_path / "clone"))
    for tag in NIGHTS:
        whole, bare = (read_version(root, tag) for root in (told.root, tmp_path / "clone"))
        for model in whole.summary.index:
            assert bare.score(model) == pytest.approx(whole.score(model), abs=1e-4)
        columns = ["model", "benchmark", "score", "stderr", "normalised"]
        one, other = (version.scores[columns].sort_values(columns[:2]) for version in (whole, bare))
        pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True), atol=1e-4)
    step = differences(*(read_version(tmp_path / "clone", tag) for tag in NIGHTS[1:3]))
    assert {change.reason for change in step.changes} == {NO_ANSWERS}
    assert step.table()["p_adjusted"].isna().all()
    assert not step.falls
    assert any(NO_ANSWERS in sentence for sentence in step.sentences())
    change = step.of("wudi")
    assert change is not None
    assert change.difference == pytest.approx(-22.5, abs=1e-4)


def test_a_clone_with_nothing_but_metrics_has_means(told: Project, tmp_path: Path) -> None:
    project = told.copy(tmp_path / "copy")
    shutil.rmtree(project.root / ".dvc" / "cache")
    whole = read_version(project.root, "HEAD")
    project.git("rm", "-q", "--cached", str(paths.LEADERBOARD))
    project.git("commit", "-q", "-m", "no table")
    version = read_version(project.root, "HEAD")
    assert version.recipes == sorted(whole.recipes)
    assert all(version.score(name) == pytest.approx(whole.score(name), abs=0.01) for name in version.recipes)
    step = differences(whole, version)
    assert {change.reason for change in step.means} == {ONLY_MEANS}
    project.git("rm", "-q", "--cached", str(paths.METRICS), "dvc.lock")
    project.git("commit", "-q", "-m", "nothing")
    with pytest.raises(WudiError, match="HEAD: no metrics there"):
        read_version(project.root, "HEAD")


def test_metrics_that_only_the_cache_has(told: Project, tmp_path: Path) -> None:
    """As when results/metrics.json was still an output in DVC's cache."""
    project = told.copy(tmp_path / "copy")
    lock = (project.root / "dvc.lock").read_text()
    content = (project.root / paths.METRICS).read_bytes()
    md5_line = lock.split(f"path: {paths.METRICS}")[1].splitlines()[2]
    file = Cache(project.root).path(md5_line.split()[-1])
    shutil.rmtree(project.root / ".dvc" / "cache")
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    project.git("rm", "-q", "--cached", str(paths.METRICS), str(paths.LEADERBOARD))
    project.git("commit", "-q", "-m", "as before")
    assert read_version(project.root, "HEAD").score("best") == pytest.approx(95, abs=0.01)


def test_dvc_says_where_its_cache_is(told: Project, tmp_path: Path) -> None:
    project = told.copy(tmp_path / "copy")
    (project.root / ".dvc" / "cache").rename(tmp_path / "elsewhere")
    assert read_version(project.root, NIGHTS[0]).verdicts("wudi", "math") is None
    project.dvc("config", "--local", "cache.dir", str(tmp_path / "elsewhere"))
    assert read_version(project.root, NIGHTS[0]).verdicts("wudi", "math") is not None


def test_experiments_of_dvc_go_by_their_names(told: Project, tmp_path: Path) -> None:
    project = told.copy(tmp_path / "copy")
    project.night(None, {**ANSWERS, "wudi": {"gsm8k": pattern(40, 40), "math": pattern(20, 20)}})
    project.dvc("commit", "-f", "-q")
    project.dvc("exp", "save", "-q", "-n", "flaky-name")
    project.git("reset", "-q", "--hard")
    version = read_version(project.root, "flaky-name")
    assert version.score("wudi") == 100
    assert version.verdicts("wudi", "gsm8k") is not None
    with pytest.raises(WudiError, match="flaky-nam: no such revision; did you mean flaky-name"):
        read_version(project.root, "flaky-nam")


@pytest.mark.parametrize(
    ("revision", "words"),
    [
        ("night/2026-11-04", "no such revision; did you mean night/2026-11-0"),
        ("xyz", "no such revision; known: workspace, main, night/2026-11-03.10"),
        ("HEAD:dvc.yaml", "no commit"),
    ],
)
def test_revisions_that_there_are_not(told: Project, revision: str, words: str) -> None:
    with pytest.raises(WudiError, match=words):
        read_version(told.root, revision)


def test_patterns_of_tags(told: Project) -> None:
    versions = History(told.root).read_all(["night/2026-11-03*"])
    assert [version.label for version in versions] == NIGHTS[2:]
    assert [version.label for version in History(told.root).read_all(["night/*", "main"], last=2)] == [NIGHTS[-1]]
    with pytest.raises(WudiError, match=r"night/2027-\*: no tag matches"):
        History(told.root).read_all(["night/2027-*"])


def test_outside_of_git(tmp_path: Path) -> None:
    with pytest.raises(WudiError, match="not in a git repository"):
        night_tags(tmp_path)


def test_a_project_in_a_folder_of_its_repository(told: Project, tmp_path: Path) -> None:
    """Its paths are below the repository's root; DVC's are not."""
    project = told.copy(tmp_path / "outer" / "inner")
    shutil.rmtree(project.root / ".git")
    for arguments in (["init", "-q", str(tmp_path / "outer")], ["add", "-A"], ["commit", "-qm", "in"], ["tag", "here"]):
        project.git(*arguments)
    assert read_version(project.root, "here").score("best") == 95


def test_remembered_verdicts_may_vanish_or_break(told: Project, tmp_path: Path) -> None:
    """The database is a help and no more."""
    project = told.copy(tmp_path / "copy")
    expected = list(ANSWERS["wudi"]["gsm8k"])
    for spoil in (b"", None, b"no database at all" * 100):
        if spoil is None:
            (project.root / paths.VERDICTS).unlink(missing_ok=True)
        elif spoil:
            (project.root / paths.VERDICTS).write_bytes(spoil)
        verdicts = read_version(project.root, NIGHTS[0]).verdicts("wudi", "gsm8k")
        assert verdicts is not None
        assert verdicts.correct.tolist() == expected


def test_verdicts_are_read_once(told: Project, tmp_path: Path) -> None:
    """What the cache has lost since is still known, by the hash of what it was."""
    project = told.copy(tmp_path / "copy")
    version = read_version(project.root, NIGHTS[0])
    first = version.verdicts("wudi", "gsm8k")
    Cache(project.root).path(version.answers["wudi"]["gsm8k"][0]).unlink()
    again = read_version(project.root, NIGHTS[0]).verdicts("wudi", "gsm8k")
    assert first is not None
    assert again is not None
    assert again.questions == first.questions
    with sqlite3.connect(project.root / paths.VERDICTS) as database:
        assert database.execute("SELECT count(*) FROM verdicts_1").fetchone()[0] >= 1


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("params.yaml", "base: [", "night/broken: params.yaml is not valid YAML"),
        ("dvc.lock", "<<<<<<< HEAD\n", "night/broken: dvc.lock is not as DVC writes it"),
        ("dvc.lock", "stages: [1]\n", "night/broken: dvc.lock is not as DVC writes it"),
        ("results/leaderboard.csv", "model,a_score,a_stderr\nwudi,1,2\n", "no leaderboard"),
    ],
)
def test_broken_files_are_named_with_their_revision(
    told: Project, tmp_path: Path, path: str, content: str, words: str
) -> None:
    project = told.copy(tmp_path / "copy")
    shutil.rmtree(project.root / ".dvc" / "cache")
    project.put(path, content)
    project.git("commit", "-qam", "broken")
    project.git("tag", "night/broken")
    with pytest.raises(WudiError, match=words):
        read_version(project.root, "night/broken")


def test_an_expert_that_scores_0(told: Project, tmp_path: Path) -> None:
    """Nothing is a percentage of 0; raw scores compare all the same."""
    project = told.copy(tmp_path / "copy")
    project.night(None, {**ANSWERS, "maths": {"gsm8k": pattern(4, 40), "math": pattern(0, 20)}})
    version = read_version(project.root, None)
    assert version.scores.set_index(["model", "benchmark"])["normalised"].isna()["wudi", "math"]
    assert version.summary["normalised"]["wudi"] == pytest.approx(75)
    assert differences(read_version(project.root, NIGHTS[0]), version).of("wudi") is not None


def test_scores_of_a_model_that_is_only_partly_measured(told: Project, tmp_path: Path) -> None:
    project = told.copy(tmp_path / "copy")
    file = project.root / paths.scores("wudi")
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "evaluations": content["evaluations"][:1]}))
    version = read_version(project.root, None)
    assert np.isnan(version.score("wudi"))
    assert version.winners() == ["best"]
