from datetime import date
from pathlib import Path

import pytest

from flows.nightly.clone import open_clone
from flows.nightly.git import Git, GitFailed
from flows.nightly.history import commit_night, next_tag, repeat_night, unpushed
from flows.nightly.push import push
from flows.nightly.tree import Ground, NoBranch, fetch, is_unchanged, lay_out
from tests.flows.nightly.checkouts import commit_all, git_in


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.nightly.git.PAUSE", 0.01)


@pytest.fixture
def git(checkout: Path, tmp_path: Path) -> Git:
    """The nights' clone of a checkout."""
    return open_clone(str(checkout), tmp_path / "nights")


def night(git: Git, day: int, lock: str) -> Ground:
    """Make the night of a day, whose whole work is to write dvc.lock; returns the ground of the next one."""
    ground = fetch(git, "main", "nightly")
    lay_out(git, ground)
    (git.root / "dvc.lock").write_text(lock)
    tag = next_tag(git, date(2026, 11, day))
    commit_night(git, ground, results="nightly", tag=tag, message=f"Night {day}")
    return fetch(git, "main", "nightly")


def test_a_night_is_the_branch_with_the_last_nights_memory(git: Git, checkout: Path):
    night(git, 1, "one")
    (checkout / "params.yaml").write_text("wish: v2\n")
    (checkout / "dvc.lock").write_text("of a person")
    source = commit_all(checkout)
    (git.root / "left").write_text("of a crash")
    (git.root / "models").mkdir()
    ground = fetch(git, "main", "nightly")
    lay_out(git, ground)
    assert ground.source == source
    assert (git.root / "params.yaml").read_text() == "wish: v2\n"
    assert (git.root / "dvc.lock").read_text() == "one"
    assert not (git.root / "left").exists()
    assert (git.root / "models").exists()


def test_unchanged_is_what_has_the_last_nights_tree(git: Git, checkout: Path):
    ground = fetch(git, "main", "nightly")
    lay_out(git, ground)
    assert not is_unchanged(git, ground)
    ground = night(git, 1, "one")
    lay_out(git, ground)
    assert is_unchanged(git, ground)
    (git.root / "results").mkdir()
    (git.root / "results" / "sources.json").write_text("moved")
    assert not is_unchanged(git, ground)
    lay_out(git, ground)
    assert is_unchanged(git, ground)
    (checkout / "new").write_text("")
    commit_all(checkout)
    ground = fetch(git, "main", "nightly")
    lay_out(git, ground)
    assert not is_unchanged(git, ground)


def test_nights_follow_one_another_and_the_branch_without_conflicts(git: Git, checkout: Path):
    first = night(git, 1, "one")
    (checkout / "dvc.lock").write_text("of a person")
    source = commit_all(checkout)
    second = night(git, 2, "two")
    assert first.last is not None
    assert second.last is not None
    assert git("rev-list", "--parents", "--max-count=1", "nightly").split()[1:] == [first.last, source]
    assert git("log", "--first-parent", "--format=%s", "nightly").splitlines()[:2] == ["Night 2", "Night 1"]
    assert git("show", "nightly:dvc.lock") == "two"
    assert git("rev-parse", "night/2026-11-02^{commit}") == second.last == git("rev-parse", "nightly")
    assert git("cat-file", "-t", "night/2026-11-01") == "tag"
    assert git("for-each-ref", "--format=%(contents:subject)", "refs/tags/night/2026-11-02") == "Night 2"
    assert git("status", "--porcelain") == ""


def test_other_nights_of_a_date_are_numbered(git: Git):
    for lock in map(str, range(11)):
        night(git, 3, lock)
    assert next_tag(git, date(2026, 11, 3)) == "night/2026-11-03.12"
    assert next_tag(git, date(2026, 11, 30)) == "night/2026-11-30"


def test_a_person_is_left_alone(git: Git, checkout: Path):
    (checkout / "params.yaml").write_text("wish: not committed\n")
    (checkout / "new.txt").write_text("not added")
    before = git_in(checkout)("status", "--porcelain"), git_in(checkout)("rev-parse", "HEAD")
    night(git, 1, "one")
    assert push(git, "nightly") == ()
    assert (git_in(checkout)("status", "--porcelain"), git_in(checkout)("rev-parse", "HEAD")) == before
    assert (checkout / "params.yaml").read_text() == "wish: not committed\n"
    assert (git.root / "params.yaml").read_text() == "wish: null\n"
    assert git_in(checkout)("tag", "--list") == "night/2026-11-01"
    assert git_in(checkout)("rev-parse", "nightly") == git("rev-parse", "nightly")


def test_what_cannot_be_pushed_is_pushed_the_next_time(git: Git, checkout: Path):
    ground = night(git, 1, "one")
    git_in(checkout)("checkout", "-q", "-b", "aside")
    away = checkout.rename(checkout.with_name("away"))
    problems = push(git, "nightly")
    assert len(problems) == 1
    assert problems[0].startswith("git push failed, and is tried again with the next night: ")
    assert unpushed(git) == ["night/2026-11-01"]
    away.rename(checkout)
    repeat_night(git, ground, results="nightly", tag="night/2026-11-02", message="the same")
    assert unpushed(git) == ["night/2026-11-01", "night/2026-11-02"]
    assert push(git, "nightly") == ()
    assert unpushed(git) == []
    assert git_in(checkout)("tag", "--list").split() == ["night/2026-11-01", "night/2026-11-02"]
    assert push(git, "nightly") == ()


def test_nights_of_two_machines_come_together(git: Git, checkout: Path, tmp_path: Path):
    other = open_clone(str(checkout), tmp_path / "other")
    night(git, 1, "one")
    night(other, 2, "two")
    assert push(git, "nightly") == ()
    assert "git push failed" in push(other, "nightly")[0]
    night(other, 3, "three")
    assert push(other, "nightly") == ()
    assert git_in(checkout)("tag", "--list").split() == [f"night/2026-11-0{day}" for day in (1, 2, 3)]
    ground = fetch(git, "main", "nightly")
    assert ground.last == other("rev-parse", "nightly")
    lay_out(git, ground)
    assert (git.root / "dvc.lock").read_text() == "three"


def test_branch_tag_and_note_come_together_or_not_at_all(git: Git):
    night(git, 1, "one")
    before = git("for-each-ref")
    ground = fetch(git, "main", "nightly")
    (git.root / "dvc.lock").write_text("two")
    # A branch of that name is in the way of the branch below it.
    with pytest.raises(GitFailed):
        commit_night(git, ground, results="nightly/below", tag="night/2026-11-02", message="Night 2")
    assert git("for-each-ref") == before


@pytest.mark.parametrize(
    ("branch", "results", "message"),
    [
        ("release", "nightly", "release: no such branch in .*project; it has main"),
        ("main", "main", "main: nights are made of one branch and kept on another"),
    ],
)
def test_branches_that_cannot_be_are_refused(git: Git, branch: str, results: str, message: str):
    with pytest.raises(NoBranch, match=message):
        fetch(git, branch, results)
