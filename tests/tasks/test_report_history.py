"""What changed since last time: beside nights, beside the last commit, and where nothing was before."""

import contextlib
import shutil
import sqlite3
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tasks import paths
from tasks.leaderboard.gather import gather_files
from tasks.params import load_params
from tasks.report import history as module
from tasks.report.history import SHOWN, History, history
from tasks.report.page import fill
from tasks.versions.cache import Cache
from tasks.versions.past import NOW, past
from tests.tasks.small_project import ANSWERS, Answers, pattern
from tests.tasks.versions_project import NEW_MATHS, WORSE, Project

LAST = "night/2026-11-03.10"
BETTER: Answers = {**ANSWERS, "wudi": {"gsm8k": pattern(40, 40), "math": pattern(20, 20)}}
SECTION = Path(module.__file__).parent / "sections" / "history.html.j2"


def looked(root: Path) -> History | None:
    """What a run in a folder sees before it."""
    with contextlib.chdir(root):
        return history(gather_files(load_params()))


def seen(root: Path) -> History:
    """The same, where there is something."""
    found = looked(root)
    assert found is not None
    return found


@pytest.fixture
def project(told: Project, tmp_path: Path) -> Project:
    """A copy of the nights, to change."""
    return told.copy(tmp_path / "copy")


@pytest.fixture
def one_night(project: Project) -> Project:
    """The first night alone, and its scores in the working tree."""
    project.git("tag", "-d", *project.git("tag", "-l", "night/2026-11-0[23]*").split())
    project.git("checkout", "-q", "-f", "night/2026-11-01")
    return project


def test_nothing_has_moved_since_the_last_night(told: Project) -> None:
    found = seen(told.root)
    assert found.headline == f"Nothing moved since {LAST}: the same models, recipes and scores."
    assert [step.name for step in found.steps] == [LAST, "night/2026-11-03.2", "night/2026-11-03"]
    assert [row["name"] for row in found.rows] == [*(step.name for step in found.steps), "night/2026-11-01"]
    assert found.rows[0]["until"] == NOW
    assert found.recipes[0] == "best"
    assert found.steps[-1].moved == "expert maths a1b2c3d -> fffffff, recipe wudi iterations set to 100"
    assert found.steps[-1].real[0].startswith("wudi fell in mean score over 2 benchmarks from 50.0 to 27.5")
    assert found.command == "python -m tasks.compare"
    assert set(found.pictures) == {"mean", "benchmarks"}


def test_a_fall_of_the_first_recipe_is_the_headline(one_night: Project) -> None:
    worse = {name: scores for name, scores in WORSE.items() if name != "same"}
    one_night.night(None, worse, experts__maths__revision=NEW_MATHS)
    one_night.dvc("commit", "-f", "-q")
    found = seen(one_night.root)
    assert found.headline.startswith(
        "Since night/2026-11-01: expert maths a1b2c3d -> fffffff, recipe same removed; "
        "wudi, still first, fell in mean score over 2 benchmarks from 50.0 to 27.5 (-22.5, adjusted p < 0.001)"
    )
    assert [step.name for step in found.steps] == [NOW]
    assert found.recipes == ["wudi", "average", "same"]
    assert [cell["score"] for cell in found.rows[0]["cells"]] == ["27.5", "22.5", "–"]


def test_what_is_luck_is_no_rise(one_night: Project) -> None:
    one_night.night(None, {**ANSWERS, "average": {"gsm8k": pattern(25, 40), "math": pattern(8, 20)}})
    headline = seen(one_night.root).headline
    assert headline.startswith(
        "Since night/2026-11-01: nothing moved, but scores did; average, now first in place of wudi"
    )
    one_night.night(None, {**ANSWERS, "wudi": {"gsm8k": pattern(25, 40), "math": pattern(8, 20)}})
    headline = seen(one_night.root).headline
    assert "wudi, still first, cannot be told apart in mean score, 50.0 before and 51.2 now." in headline


def test_without_nights_it_is_the_last_commit(project: Project) -> None:
    project.git("tag", "-d", *project.git("tag").split())
    commit = f"commit {project.git('rev-parse', 'HEAD')[:7]}"
    found = seen(project.root)
    assert found.headline == f"Nothing moved since {commit}: the same models, recipes and scores."
    assert not found.steps
    assert not found.rows
    assert not found.pictures
    project.night(None, BETTER)
    found = seen(project.root)
    assert found.headline.startswith(f"Since {commit}: ")
    assert [row["name"] for row in found.rows] == [NOW, commit]
    assert found.command == f"python -m tasks.compare {commit.split()[1]} workspace"


def test_the_run_is_what_was_gathered_and_not_what_files_say(one_night: Project) -> None:
    """Where a scores file is gone, dvc.lock has one of before; and results/ are of before until they are written."""
    results = {path: (one_night.root / path).read_bytes() for path in (paths.METRICS, paths.LEADERBOARD)}
    one_night.night(None, BETTER)
    for path, content in results.items():
        (one_night.root / path).write_bytes(content)
    with contextlib.chdir(one_night.root):
        board = gather_files(load_params())
        shutil.rmtree(paths.SCORES)
        found = past(Path(), board.scores)
    assert found is not None
    assert found.step is not None
    assert found.step.after.score("wudi") == 100
    assert found.step.before.score("wudi") == 50


def test_a_recipe_that_failed_has_no_score_of_before(project: Project) -> None:
    """Although dvc.lock still names it."""
    (project.root / paths.scores("best")).unlink()
    shutil.rmtree(project.root / paths.samples("best"))
    with contextlib.chdir(project.root):
        found = history(gather_files(load_params(), partial=True))
    assert found is not None
    expected = (
        f"Since {LAST}: nothing moved, but best is gone; same, now first in place of best, answers every question"
    )
    assert found.headline.startswith(expected)
    assert found.rows[0]["cells"][found.recipes.index("best")]["score"] == "–"


@pytest.mark.parametrize("there", ["no git", "no commit", "no results"])
def test_nothing_before_is_no_section(one_night: Project, there: str) -> None:
    shutil.rmtree(one_night.root / ".git")
    if there != "no git":
        one_night.git("init", "-q")
    if there == "no results":
        one_night.put("empty/README.md", "")
        one_night.git("add", "empty")
        one_night.git("commit", "-q", "-m", "first")
    assert looked(one_night.root) is None


def test_a_shallow_clone_has_what_it_has(project: Project, tmp_path: Path) -> None:
    project.night(None, BETTER)
    clone = tmp_path / "clone"
    project.git("clone", "-q", "--depth", "1", project.root.as_uri(), str(clone))
    for folder in (paths.SCORES, paths.SAMPLES, paths.MERGED, paths.TASK_VECTORS):
        shutil.copytree(project.root / folder, clone / folder)
    shutil.copy(project.root / paths.PARAMS, clone / paths.PARAMS)
    found = seen(clone)
    assert found.headline.startswith(f"Since {LAST}: ")
    assert "untested" in found.headline
    assert not found.steps[0].real


def test_a_night_that_cannot_be_read_is_left_out_and_named(project: Project) -> None:
    shutil.rmtree(project.root / ".dvc" / "cache")
    project.put("dvc.lock", "<<<<<<< HEAD\n")
    project.git("commit", "-q", "-am", "broken")
    project.git("tag", "night/2026-11-04")
    project.git("checkout", "-q", LAST)
    found = seen(project.root)
    assert found.headline.startswith(f"Nothing moved since {LAST}")
    assert found.notes[0].startswith("night/2026-11-04 is left out: dvc.lock is not as DVC writes it")


def test_where_no_night_can_be_read_that_is_said(one_night: Project) -> None:
    one_night.put("dvc.lock", "<<<<<<< HEAD\n")
    one_night.git("commit", "-q", "-am", "broken")
    one_night.git("tag", "-f", "-m", "broken", "night/2026-11-01")
    one_night.git("checkout", "-q", "HEAD^", "--", "dvc.lock")
    assert "could not be made out: night/2026-11-01 is left out: dvc.lock is not as" in seen(one_night.root).headline


def test_answers_that_are_broken_leave_their_night_out(project: Project) -> None:
    verdicts = project.root / paths.VERDICTS
    verdicts.unlink(missing_ok=True)
    with contextlib.chdir(project.root):
        found = past(Path(), gather_files(load_params()).scores)
    assert found is not None
    answers = Cache(project.root).path(found.comparison.versions[1].answers["wudi"]["math"][0])
    answers.chmod(0o644)
    answers.write_bytes(b"nothing")
    verdicts.unlink()
    shown = seen(project.root)
    assert [step.name for step in shown.steps] == [LAST]
    assert [note.split(": ")[0] for note in shown.notes] == [
        f"{name} is left out" for name in ("night/2026-11-03", "night/2026-11-01")
    ]
    assert all(f"{answers.relative_to(project.root)}: not a samples file" in note for note in shown.notes)


def test_what_cannot_be_made_out_is_said_and_stops_no_run(project: Project) -> None:
    project.put("dvc.lock", "<<<<<<< HEAD\n")
    found = seen(project.root)
    assert found.headline.startswith(
        "What changed since last time could not be made out: workspace: dvc.lock is not as"
    )


def test_a_database_that_another_process_holds_is_waited_for_once(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen(project.root)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **options: connect(path, **{**options, "timeout": 0}))
    with connect(project.root / paths.VERDICTS) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        assert seen(project.root).steps[-1].real


class Fragment(HTMLParser):
    """A part of a page whose tags close and whose ids differ."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.rows = 0
        self.feed(text)
        assert not self.open
        assert len(set(self.ids)) == len(self.ids)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.rows += tag == "tr"
        self.ids += [value or "" for name, value in attributes if name == "id"]
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_many_nights_are_folded_and_very_many_not_looked_at(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What moved there is a setting each time; nothing was measured anew."""
    for night in range(1, 15):
        project.edit({"recipes__wudi__iterations": night})
        project.git("commit", "-q", "-am", "night")
        project.git("tag", f"night/2027-01-{night:02d}")
    monkeypatch.setattr("tasks.versions.past.NIGHTS", 13)
    monkeypatch.setattr("tasks.versions.past.PATIENCE", 600.0)
    found = seen(project.root)
    assert [step.name for step in found.steps] == [f"night/2027-01-{night:02d}" for night in range(14, 2, -1)]
    assert found.notes == ["6 earlier nights are not shown."]
    page = fill(SECTION, history=found)
    assert page.count("<details>") == 3
    assert f"{len(found.steps) - SHOWN} earlier" in page
    assert Fragment(page).rows == 4 + len(found.steps) + len(found.rows)


def test_however_long_it_takes_there_is_the_version_before(told: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.versions.past.PATIENCE", 0.0)
    found = seen(told.root)
    assert found.headline.startswith(f"Nothing moved since {LAST}")
    assert found.notes == ["4 earlier nights are not shown."]


def test_the_section_stands_by_itself(told: Project) -> None:
    page = fill(SECTION, history=seen(told.root))
    fragment = Fragment(page)
    assert {"history", "history-heading", "steps", "means-by-version"} <= set(fragment.ids)
    assert page.count("<details>") == 1
    assert 'aria-label="lower than in the version before"' in page
    assert "expert maths a1b2c3d -&gt; fffffff" in page
    Fragment(fill(SECTION, history=History("Nothing moved.")))
