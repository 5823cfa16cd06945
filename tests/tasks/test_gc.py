"""What `python -m tasks.gc` keeps and drops, in a project that has run twice."""

import shutil
from pathlib import Path

import pytest

from tests.small_experiment import (
    FIRST,
    SECOND,
    cached,
    changes,
    clone,
    command,
    commit,
    copied,
    module,
    repro,
)

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


@pytest.fixture
def project(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory, tmp_path / "project")


def gc(folder: Path, *options: str, check: bool = True) -> str:
    return module(folder, "tasks.gc", *options, check=check)


def at(folder: Path, revision: str) -> None:
    """Check a revision out, with what the cache has of it."""
    command(folder, "git", "checkout", "--quiet", revision)
    module(folder, "tasks.restore")


def shared(project: Path, store: Path) -> dict[str, bytes]:
    """Push every revision to a new remote, and return its objects."""
    command(project, "dvc", "remote", "add", "--local", "--default", "store", str(store))
    command(project, "dvc", "push", "--all-tags")
    return cached(store)


@pytest.mark.long
def test_results_stay_and_merged_models_are_computed_again(project: Path) -> None:
    before = cached(project)
    weights = (project / "merged/half/model.safetensors").read_bytes()
    said = gc(project, "--dry")
    assert cached(project) == before
    assert "merged models and task vectors that `dvc repro` computes again" in said
    assert "freed" not in said
    assert "freed" in gc(project)
    kept = cached(project)
    assert kept.items() < before.items()
    assert weights in kept.values(), "the workspace's"
    assert sum(map(len, kept.values())) + len(weights) <= sum(map(len, before.values()))
    assert repro(project) == []

    command(project, "git", "checkout", "--quiet", FIRST)
    assert "computes" not in module(project, "tasks.restore", "--results")
    assert (project / "results" / "report.html").read_bytes() in before.values()
    assert "computes: merged/most\n" in module(project, "tasks.restore")
    assert repro(project) == ["merge@most"]
    assert not changes(project), "dvc.lock and results/ are the same, byte for byte"
    assert "computes again" in gc(project, "--dry"), "now it is the other one's"


@pytest.mark.long
def test_revisions_to_keep_whole(project: Path) -> None:
    before = cached(project)
    assert "computes again" not in gc(project, "--keep", FIRST)
    assert cached(project) == before
    at(project, FIRST)
    assert repro(project) == []


def test_a_revision_to_keep_that_is_not_there(project: Path) -> None:
    before = cached(project)
    said = gc(project, "--keep", "v1.0", check=False)
    assert "error:" in said
    assert "v1.0" in said
    assert cached(project) == before


@pytest.mark.long
def test_experiments_and_branches_of_remotes_keep_their_results(project: Path) -> None:
    scores = project / "scores" / "half.json"
    for name, text in (("experiment", '{"mean": 1.0}'), ("branch", '{"mean": 2.0}')):
        scores.unlink()
        scores.write_text(text)
        command(project, "dvc", "commit", "--force", "evaluate_recipe@half")
        if name == "experiment":
            command(project, "dvc", "exp", "save", "--name", name)
        else:
            command(project, "git", "switch", "--quiet", "--create", name)
            commit(project)
            command(project, "git", "update-ref", f"refs/remotes/origin/{name}", name)
        at(project, SECOND)
    command(project, "git", "branch", "--delete", "--force", "branch")
    gc(project)
    assert {b'{"mean": 1.0}', b'{"mean": 2.0}'} <= set(cached(project).values())
    command(project, "dvc", "exp", "apply", "experiment")
    assert scores.read_text() == '{"mean": 1.0}'


def test_what_nothing_names_any_more_goes(project: Path) -> None:
    (project / "notes").write_text("unheard of")
    command(project, "dvc", "add", "--quiet", "notes")
    answers = project / ".cache" / "answers"
    assert (answers / "most.db").is_file()
    assert b"unheard of" in cached(project).values()
    (project / "notes.dvc").unlink()
    said = gc(project)
    assert "what no branch or tag ends in" in said
    assert b"unheard of" not in cached(project).values()
    assert sorted(file.stem for file in answers.glob("*.db")) == ["base", "gsm8k", "half"]


@pytest.mark.long
def test_nothing_is_deleted_when_a_revision_cannot_be_read(project: Path) -> None:
    before = cached(project)
    command(project, "git", "switch", "--quiet", "--create", "broken")
    (project / "dvc.yaml").write_text("stages: [")
    commit(project)
    at(project, "main")
    said = gc(project, check=False)
    assert "error: revision" in said
    assert "cannot be read" in said
    assert cached(project) == before


@pytest.mark.long
def test_a_remote_is_asked_for_first_and_can_be_filled_again(project: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    before = shared(project, store)
    assert "Nobody is there to answer: say --yes" in gc(project, "--remote", "store", check=False)
    assert cached(store) == before
    gc(project, "--remote", "store", "--yes")
    assert cached(store).items() < before.items()

    restored = clone(project, tmp_path / "restored", FIRST)
    command(restored, "dvc", "remote", "add", "--local", "--default", "store", str(store))
    assert "computes: merged/most" in module(restored, "tasks.restore")
    command(project, "dvc", "push", "--all-tags")
    assert cached(store) == before, "the cache still had it, and DVC knows that the remote has not"


@pytest.mark.long
def test_a_shared_cache_keeps_what_the_other_projects_name(project: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    shutil.move(project / ".dvc" / "cache", cache)
    other = clone(project, tmp_path / "other", FIRST)
    for folder in (project, other):
        command(folder, "dvc", "cache", "dir", "--local", str(cache))
        command(folder, "dvc", "checkout", "--quiet")
    before = cached(cache)
    said = gc(project, check=False)
    assert "others may use it; name each with --project" in said
    gc(project, "--project", str(other))
    assert cached(cache) == before
    gc(project, "--project", ".")
    assert cached(cache).items() < before.items()
