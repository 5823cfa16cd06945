"""A clone of a commit has its checkpoints and results without computing them; nothing writes through into the cache."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from moto.server import ThreadedMotoServer

from tests.conftest import random_tensors, write_model
from tests.small_experiment import (
    ENVIRONMENT,
    FIRST,
    SECOND,
    cached,
    changes,
    clone,
    command,
    copied,
    module,
    repro,
    two_nights,
)
from tests.tasks.fetch_project import contents, fetch_here

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")

OUTPUTS = ("models", "task_vectors", "merged", "scores", "samples", "results")


BY_HAND = """
import runpy
import sys
for line in (
    "tasks.fetch base", "tasks.fetch expert gsm8k", "tasks.task_vectors gsm8k", "tasks.merge half",
    "tasks.evaluate recipe half", "tasks.similarity", "tasks.record", "tasks.leaderboard",
):
    sys.argv = line.split()
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
"""Every stage's command, one after the other in one process, which imports torch once."""


@pytest.fixture
def project(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory, tmp_path / "project")


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket on an S3 server, as a user's environment leads to it."""
    import boto3

    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "aws"),
    }
    (tmp_path / "aws").touch()
    for name, value in settings.items():
        monkeypatch.setitem(ENVIRONMENT, name, value)
    client = boto3.client(
        "s3",
        endpoint_url=settings["AWS_ENDPOINT_URL"],
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="nights")
    yield "s3://nights/project"
    running.stop()


def push(project: Path, url: str) -> None:
    """Share every revision of the project in a remote."""
    command(use(project, url), "dvc", "push", "--all-tags")


def outputs(project: Path) -> dict[str, bytes]:
    """The files that stages have made."""
    return {f"{name}/{file}": content for name in OUTPUTS for file, content in contents(project / name).items()}


def use(folder: Path, url: str) -> Path:
    """Give a project or a clone its remote. Were it committed, the revisions before that would have none."""
    command(folder, "dvc", "remote", "add", "--local", "--default", "store", url)
    return folder


@pytest.mark.parametrize("kind", ["folder", pytest.param("s3", marks=pytest.mark.long)])
def test_a_clone_with_the_remote_computes_nothing(
    kind: str, project: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = str(tmp_path / "store") if kind == "folder" else request.getfixturevalue("bucket")
    push(project, url)
    restored = use(clone(project, tmp_path / "restored"), url)
    assert "computes" not in module(restored, "tasks.restore")
    assert repro(restored) == []
    in_one = use(clone(project, tmp_path / "in-one"), url)
    assert repro(in_one, "--pull") == []
    for folder in (restored, in_one):
        assert outputs(folder) == outputs(project)
        assert not changes(folder)
        assert not (folder / "timings").exists(), "whatever measures or merges leaves its seconds there"


@pytest.mark.long
def test_what_the_remote_has_not_is_computed_to_the_same_bytes(project: Path, tmp_path: Path) -> None:
    push(project, str(tmp_path / "store"))
    stages = yaml.safe_load(command(project, "git", "show", f"{FIRST}:dvc.lock"))["stages"]
    (merged,) = stages["merge@most"]["outs"]
    (tmp_path / "store" / "files" / "md5" / merged["md5"][:2] / merged["md5"][2:]).unlink()
    restored = use(clone(project, tmp_path / "restored", FIRST), str(tmp_path / "store"))
    assert "`dvc repro` computes: merged/most\n" in module(restored, "tasks.restore")
    assert repro(restored) == ["merge@most"]
    assert not changes(restored), "dvc.lock and results/ are the same, byte for byte"


def test_results_alone_need_no_checkpoint(project: Path, tmp_path: Path) -> None:
    push(project, str(tmp_path / "store"))
    light = use(clone(project, tmp_path / "light"), str(tmp_path / "store"))
    assert "computes" not in module(light, "tasks.restore", "--results")
    assert repro(light, "--allow-missing") == []
    assert not (light / "models").exists()
    assert (light / "results" / "report.html").read_bytes() == (project / "results" / "report.html").read_bytes()


def test_a_remote_that_does_not_answer_is_told_before_anything_is_computed(project: Path, tmp_path: Path) -> None:
    folder = use(clone(project, tmp_path / "clone"), str(tmp_path / "not-mounted"))
    said = module(folder, "tasks.restore", check=False)
    assert "error: remote store" in said
    assert "see that it is mounted" in said
    assert not (folder / "models").exists()


def test_numbers_of_each_revision_are_in_git(project: Path, tmp_path: Path) -> None:
    bare = clone(project, tmp_path / "clone")
    said = command(bare, "dvc", "metrics", "diff", FIRST, SECOND, "--targets", "results/metrics.json", "--all")
    assert "score.most" in said
    assert "score.half" in said


def test_a_checkpoint_is_on_the_disk_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    as_repro_left_it = two_nights(tmp_path_factory)
    for name in ("models/base", "models/experts/gsm8k", "task_vectors/gsm8k", "merged/half"):
        status = (as_repro_left_it / name / "model.safetensors").stat()
        assert status.st_nlink == 2
        assert not status.st_mode & 0o222, "it must not be written through"


@pytest.mark.long
def test_commands_typed_by_hand_write_nothing_into_the_cache(project: Path) -> None:
    before = cached(project)
    command(project, sys.executable, "-c", BY_HAND)
    assert cached(project) == before
    modified = re.findall(r"modified:\s+(\S+)", command(project, "dvc", "status"))
    assert set(modified) <= {"results/report.html"}, "only the report, which has seconds, is written anew"
    models = ("models/base", "models/experts/gsm8k")
    module(project, "wudi", "merge", *models, "--method", "average", "--out", "merged/half", "--overwrite")
    assert cached(project) == before
    assert "modified" in command(project, "dvc", "status")


def test_a_folder_that_is_fetched_is_never_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_model(tmp_path / "mine", random_tensors(0))
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    fetch_here(folder, str(source))
    command(folder, "git", "init", "--quiet")
    command(folder, "dvc", "init", "--quiet")
    command(folder, "dvc", "config", "cache.type", "hardlink,symlink")
    command(folder, "dvc", "add", "--quiet", "models/base")
    assert (folder / "models/base/model.safetensors").stat().st_nlink == 2
    for file in source.iterdir():
        assert file.stat().st_nlink == 1
        assert file.stat().st_mode & 0o200


@pytest.mark.long
def test_a_cache_on_another_disk(project: Path, tmp_path: Path) -> None:
    shared_memory = Path("/dev/shm")
    if not shared_memory.is_dir() or shared_memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system to write on")
    elsewhere = shared_memory / f"wudi-test-{os.getpid()}"
    try:
        shutil.move(project / ".dvc" / "cache", elsewhere)
        command(project, "dvc", "cache", "dir", "--local", str(elsewhere))
        command(project, "dvc", "checkout", "--quiet", "--relink")
        assert (project / "merged/half/model.safetensors").is_symlink()
        assert repro(project) == []
        before = cached(elsewhere)
        module(project, "tasks.merge", "half")
        module(project, "tasks.record")
        assert cached(elsewhere) == before
    finally:
        shutil.rmtree(elsewhere, ignore_errors=True)
