"""Fetching from an S3 server, and what is said where a package or a place is missing."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
import s3fs
import yaml
from moto.server import ThreadedMotoServer

from tasks.fetching.location import location
from tasks.params import Model, load_params
from tasks.strict import ParamsError
from tests.conftest import ROOT, moved, random_tensors, write_model
from tests.tasks.fetch_project import BASE, PARTIAL, contents, fetch_here
from wudi.errors import WudiError


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def store(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bucket of its own, as a file system; the environment is that of whoever uses the store."""
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    s3fs.S3FileSystem.clear_instance_cache()
    files = fsspec.filesystem("s3")
    for bucket in files.ls(""):
        files.rm(bucket, recursive=True)
    files.mkdir("models")
    return files


def test_a_model_from_a_bucket(store: Any, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", random_tensors(0), shards=2)
    (model / "two words, ä.txt").write_text("a b")
    store.put(str(model), "models/my model", recursive=True)
    for extra in ("pytorch_model.bin", "checkpoint-10/model.safetensors", "consolidated.safetensors"):
        store.pipe_file(f"models/my model/{extra}", b"not needed")
    assert contents(fetch_here(Path.cwd(), "s3://models/my model/")) == contents(model)
    record = json.loads((BASE / "source.json").read_text())
    assert record["source"] == "s3://models/my model/"
    assert record["files"].keys() == contents(model).keys()
    assert location(Model(source="s3://models/my model/", revision=None)) == "s3://models/my model/"


def test_an_adapter_is_no_base(store: Any) -> None:
    for name in ("adapter_config.json", "adapter_model.safetensors", "training_args.bin"):
        store.pipe_file(f"models/adapter/{name}", b"{}")
    with pytest.raises(WudiError, match="is a PEFT adapter; name the model that it was trained on as the base"):
        fetch_here(Path.cwd(), "s3://models/adapter")
    assert not BASE.exists()


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ([], r"s3://models/base: nothing is there; check `source`"),
        (["pytorch_model.bin"], "pickle files alone .* `wudi convert FOLDER --out NEW`"),
        (["config.json"], "holds no .safetensors file"),
    ],
)
def test_what_cannot_be_merged(names: list[str], says: str, store: Any) -> None:
    for name in names:
        store.pipe_file(f"models/base/{name}", b"{}")
    with pytest.raises(WudiError, match=says):
        fetch_here(Path.cwd(), "s3://models/base")
    assert not PARTIAL.exists()


def test_a_copy_goes_on_and_takes_what_changed_meanwhile(store: Any, tmp_path: Path) -> None:
    first, second, third = (f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3))
    model = write_model(tmp_path / "model", random_tensors(0), shards=3)
    newer = write_model(tmp_path / "newer", moved(random_tensors(0), 1), shards=3)
    store.put(str(model), "models/base", recursive=True)
    store.pipe_file(f"models/base/{third}", (model / third).read_bytes(), StorageClass="GLACIER")  # cannot be read
    with pytest.raises(WudiError, match=r"s3://models/base: access is refused \(.*storage class"):
        fetch_here(Path.cwd(), "s3://models/base")
    before = (PARTIAL / first).stat().st_mtime_ns
    assert (PARTIAL / second).is_file()
    assert not (PARTIAL / third).exists()
    store.put_file(str(newer / second), f"models/base/{second}")
    store.put_file(str(model / third), f"models/base/{third}")
    found = contents(fetch_here(Path.cwd(), "s3://models/base"))
    assert found == contents(model) | {second: (newer / second).read_bytes()}
    assert (BASE / first).stat().st_mtime_ns == before


def test_without_credentials(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store.pipe_file("models/base/model.safetensors", b"{}")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(WudiError, match=r"access is refused \(Unable to locate credentials\); check the credentials"):
        fetch_here(Path.cwd(), "s3://models/base")


@pytest.mark.parametrize(
    ("source", "package", "says"),
    [
        ("s3://models/base", "s3fs", r"pip install 'wudi\[s3\]'"),
        ("gs://models/base", "gcsfs", "pip install gcsfs"),
        ("abfs://models/base", "adlfs", "pip install adlfs"),
    ],
)
def test_a_missing_package_is_named(
    source: str, package: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    known = sys.modules["fsspec.registry"]._registry
    monkeypatch.delitem(known, source.partition("://")[0], raising=False)
    with pytest.raises(WudiError, match=says):
        fetch_here(tmp_path, source)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("https://example.org/model", "cannot be listed"),
        ("hf://someone/base", "takes a Hub id as it is"),
        ("memory://model", "like s3:// or gs://"),
        ("s4://model", "like s3:// or gs://"),
        ("file://models/base", "like s3:// or gs://"),
        ("file://{}/models/base", "outside models/"),
    ],
)
def test_urls_that_cannot_be_sources(source: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["base"] = {"source": source.format(tmp_path), "revision": None}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(ParamsError, match=says):
        load_params()
