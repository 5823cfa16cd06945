"""Fingerprints: another one when what a fetch would take changes, and the same as long as it does not."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
import s3fs
import yaml
from moto.server import ThreadedMotoServer

from tasks.params import Params, load_params
from tasks.pinning import fingerprints
from tests.conftest import ROOT, moved, random_tensors, write_model
from wudi.errors import WudiError

INDEX, SHARD = "model.safetensors.index.json", "model-00001-of-00002.safetensors"


def params_of(folder: Path, base: str, expert: str = "zoo:math") -> Params:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["base"]["source"], values["experts"]["math"]["source"] = base, expert
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    return load_params(folder / "params.yaml")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "models" / "model", random_tensors(0), shards=2)


def test_models_of_the_zoo_and_the_hub_have_none(tmp_path: Path) -> None:
    assert fingerprints(params_of(tmp_path, "someone/base"), tmp_path) == {}


def test_a_folder_that_does_not_change_keeps_its_own(model: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    params = params_of(project, str(model), "../models/model")
    before = fingerprints(params, project)
    assert before.keys() == {"base", "math"}
    assert before["base"] == before["math"]
    assert len(int(before["base"], 16).to_bytes(32)) == 32
    (model / "optimizer.pt").write_text("not fetched")
    (model / "checkpoint-10").mkdir()
    assert fingerprints(params, project) == before
    elsewhere = shutil.copytree(model, tmp_path / "copy")
    assert fingerprints(params_of(project, str(elsewhere), str(elsewhere)), project) == before


@pytest.mark.parametrize("change", ["size", "time", "more", "less", "name"])
def test_a_folder_that_changes(change: str, model: Path, tmp_path: Path) -> None:
    params = params_of(tmp_path / "project", str(model), str(write_model(tmp_path / "other", random_tensors(0))))
    before = fingerprints(params)
    config, generation = model / "config.json", model / "generation_config.json"
    if change == "size":
        status = config.stat()
        config.write_text(config.read_text() + "\n")
        os.utime(config, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "time":
        status = (model / SHARD).stat()
        os.utime(model / SHARD, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    elif change == "more":
        (model / "tokenizer.json").write_text("{}")
    elif change == "less":
        generation.unlink()
    else:
        generation.rename(model / "other.json")
    now = fingerprints(params)
    assert now["base"] != before["base"]
    assert now["math"] == before["math"]


def test_no_weight_is_read(model: Path, tmp_path: Path) -> None:
    params = params_of(tmp_path / "project", str(model))
    before = fingerprints(params)
    for name in (SHARD, SHARD.replace("00001", "00002")):
        status = (model / name).stat()
        (model / name).write_bytes(b"x" * status.st_size)
        os.utime(model / name, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert fingerprints(params) == before


def test_every_problem_at_once(model: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(WudiError) as caught:
        fingerprints(params_of(tmp_path / "project", "./nothing", str(tmp_path / "empty")), tmp_path / "project")
    lines = str(caught.value).splitlines()
    assert lines[0] == (
        f"params.yaml: base: {tmp_path / 'project' / 'nothing'}: no such folder; check `source` in params.yaml"
    )
    assert lines[1].startswith(f"params.yaml: experts.math: {tmp_path / 'empty'}: holds no .safetensors file")
    assert len(lines) == 2
    (model / SHARD).unlink()
    (model / SHARD).symlink_to("gone")
    with pytest.raises(WudiError, match="is a link to gone, which is not there"):
        fingerprints(params_of(tmp_path / "project", str(model)))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def store(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty bucket, as a file system."""
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    files = fsspec.filesystem("s3")
    for bucket in files.ls(""):
        files.rm(bucket, recursive=True)
    files.mkdir("models")
    return files


def test_a_bucket(store: Any, model: Path, tmp_path: Path) -> None:
    store.put(str(model), "models/base", recursive=True)
    params = params_of(tmp_path / "project", "s3://models/base/", "s3://models/base")
    before = fingerprints(params)
    assert before["base"] == before["math"]
    store.pipe_file("models/base/optimizer.pt", b"not fetched")
    store.put_file(str(model / SHARD), f"models/base/{SHARD}")  # the same once more
    assert fingerprints(params) == before
    newer = write_model(tmp_path / "newer", moved(random_tensors(0), 1), shards=2)
    assert (newer / SHARD).stat().st_size == (model / SHARD).stat().st_size
    store.put_file(str(newer / SHARD), f"models/base/{SHARD}")
    assert fingerprints(params)["base"] != before["base"]


def test_weights_in_a_bucket_are_not_read(store: Any, model: Path, tmp_path: Path) -> None:
    store.put(str(model), "models/base", recursive=True)
    store.pipe_file(f"models/base/{SHARD}", b"x", StorageClass="GLACIER")  # cannot be read
    assert fingerprints(params_of(tmp_path / "project", "s3://models/base")).keys() == {"base"}


@pytest.mark.usefixtures("store")
def test_a_bucket_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WudiError, match=r"^params\.yaml: base: s3://nowhere/base: nothing is there; check `source`"):
        fingerprints(params_of(tmp_path / "project", "s3://nowhere/base"))
