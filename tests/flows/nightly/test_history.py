from datetime import date
from pathlib import Path

import pytest

from flows.nightly.clone import open_clone
from flows.nightly.git import Git, GitFailed
from flows.nightly.history import commit_night, mark_told, next_tag, repeat_night, tags_of, unpushed, untold
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


def test_a_number_is_not_given_twice(git: Git, checkout: Path):
    for lock in ("one", "two", "three"):
        night(git, 3, lock)
    git("tag", "--delete", "night/2026-11-03", "night/2026-11-03.2")
    assert tags_of(git, date(2026, 11, 3)) == ["night/2026-11-03.3"]
    assert next_tag(git, date(2026, 11, 3)) == "night/2026-11-03.4"
    git_in(checkout)("tag", "night/2026-11-04")
    fetch(git, "main", "nightly")
    git("tag", "--delete", "night/2026-11-04")
    assert next_tag(git, date(2026, 11, 4)) == "night/2026-11-04.2"


def test_no_night_and_no_move_of_the_branch_is_overwritten(git: Git):
    ground = night(git, 1, "one")
    before = git("for-each-ref")
    with pytest.raises(GitFailed, match="reference already exists"):
        repeat_night(git, ground, results="nightly", tag="night/2026-11-01", message="the same")
    assert git("for-each-ref") == before
    git("update-ref", "refs/heads/nightly", ground.source)
    before = git("for-each-ref")
    with pytest.raises(GitFailed, match="but expected"):
        commit_night(git, ground, results="nightly", tag="night/2026-11-02", message="Night 2")
    assert git("for-each-ref") == before


def test_nights_are_noted_until_somebody_is_told(git: Git):
    ground = night(git, 1, "one")
    repeat_night(git, ground, results="nightly", tag="night/2026-11-02", message="the same")
    assert untold(git) == ["night/2026-11-01", "night/2026-11-02"]
    mark_told(git, ["night/2026-11-01"])
    assert untold(git) == ["night/2026-11-02"]
    assert unpushed(git) == ["night/2026-11-01", "night/2026-11-02"]
    assert push(git, "nightly") == ()
    git("tag", "--delete", "night/2026-11-02")
    git("push", "--quiet", "origin", ":refs/tags/night/2026-11-02")
    fetch(git, "main", "nightly")
    assert untold(git) == []
    mark_told(git, [])


@pytest.mark.parametrize("written", [("unpushed",), ("unpushed", "untold"), ("unpushed", "untold", "tags")])
@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_a_night_whose_references_were_half_written_is_healed(
    git: Git, first: bool, repeated: bool, written: tuple[str, ...]
):
    before = None if first else night(git, 1, "one").last
    ground = night(git, 2, "two")
    tag = "night/2026-11-02"
    if repeated:
        before, tag = ground.last, "night/2026-11-03"
        repeat_night(git, ground, results="nightly", tag=tag, message="the same")
    whole = git("for-each-ref")
    for place in {"untold", "tags"}.difference(written):
        git("update-ref", "-d", f"refs/{place}/{tag}")
    git("update-ref", *(["refs/heads/nightly", before] if before else ["-d", "refs/heads/nightly"]))
    assert fetch(git, "main", "nightly").last == ground.last
    assert git("for-each-ref") == whole
    assert push(git, "nightly") == ()


@pytest.mark.parametrize("lost", ["refs/tags/night/2026-11-02", "refs/heads/nightly"])
def test_what_a_night_lost_is_made_out_from_its_note(git: Git, lost: str):
    night(git, 1, "one")
    night(git, 2, "two")
    whole = git("for-each-ref")
    git("update-ref", "-d", lost)
    fetch(git, "main", "nightly")
    assert git("for-each-ref") == whole


def test_references_are_written_in_the_order_that_heal_relies_on(git: Git):
    hook = git.root / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\nif [ "$1" = committed ]; then cut -d" " -f3 >> written; fi\n')
    hook.chmod(0o755)
    ground = fetch(git, "main", "nightly")
    lay_out(git, ground)
    commit_night(git, ground, results="nightly", tag="night/2026-11-02", message="Night 2")
    names = [name for name in (git.root / "written").read_text().split() if "night" in name]
    tag = "night/2026-11-02"
    assert names == [f"refs/unpushed/{tag}", f"refs/untold/{tag}", f"refs/tags/{tag}", "refs/heads/nightly"]


def test_nights_of_another_branch_are_not_brought_to_this_one(git: Git):
    night(git, 1, "one")
    assert fetch(git, "main", "weekly").last is None
    assert git.commit("refs/heads/weekly") is None


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
    assert "nightly -> nightly (fetch first)" in push(other, "nightly")[0]
    night(other, 3, "three")
    assert push(other, "nightly") == ()
    assert git_in(checkout)("tag", "--list").split() == [f"night/2026-11-0{day}" for day in (1, 2, 3)]
    ground = fetch(git, "main", "nightly")
    assert ground.last == other("rev-parse", "nightly")
    lay_out(git, ground)
    assert (git.root / "dvc.lock").read_text() == "three"


def test_nights_of_two_machines_on_one_date_are_both_kept(git: Git, checkout: Path, tmp_path: Path):
    other = open_clone(str(checkout), tmp_path / "other")
    theirs, mine = night(git, 1, "one").last, night(other, 1, "two").last
    ground = night(other, 1, "three")
    mark_told(other, ["night/2026-11-01.2"])
    assert push(git, "nightly") == ()
    assert "(already exists)" in push(other, "nightly")[0]
    fetch(other, "main", "nightly")
    names = ["night/2026-11-01", "night/2026-11-01.2", "night/2026-11-01.3"]
    assert [other.commit(tag) for tag in names] == [theirs, ground.last, mine]
    assert other("for-each-ref", "--format=%(tag)", f"refs/tags/{names[2]}") == names[2]
    assert sorted(unpushed(other)) == names[1:]
    assert untold(other) == names[2:]
    before = other("for-each-ref")
    fetch(other, "main", "nightly")
    assert other("for-each-ref") == before
    night(other, 2, "four")
    assert push(other, "nightly") == ()
    fetch(git, "main", "nightly")
    assert [git.commit(tag) for tag in names] == [theirs, ground.last, mine]
    assert tags_of(git, date(2026, 11, 1)) == names


def test_a_tag_that_was_replaced_at_the_origin_is_replaced_here(git: Git, checkout: Path):
    night(git, 1, "one")
    assert push(git, "nightly") == ()
    git_in(checkout)("tag", "--force", "night/2026-11-01", "main")
    ground = fetch(git, "main", "nightly")
    assert git.commit("night/2026-11-01") == ground.source


def test_nights_that_diverged_are_not_unchanged(git: Git, checkout: Path, tmp_path: Path):
    other = open_clone(str(checkout), tmp_path / "other")
    night(git, 1, "one")
    night(other, 2, "one")
    assert push(git, "nightly") == ()
    ground = fetch(other, "main", "nightly")
    lay_out(other, ground)
    assert ground.diverged
    assert not is_unchanged(other, ground)
    commit_night(other, ground, results="nightly", tag="night/2026-11-03", message="Night 3")
    assert push(other, "nightly") == ()
    ground = fetch(other, "main", "nightly")
    lay_out(other, ground)
    assert not ground.diverged
    assert is_unchanged(other, ground)


def test_what_the_origin_says_is_passed_on(git: Git, checkout: Path):
    hook = checkout / ".git" / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'nobody pushes on a Sunday' >&2\nexit 1\n")
    hook.chmod(0o755)
    night(git, 1, "one")
    (problem,) = push(git, "nightly")
    assert "nobody pushes on a Sunday" in problem
    assert "(pre-receive hook declined)" in problem
    assert "hint" not in problem


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
