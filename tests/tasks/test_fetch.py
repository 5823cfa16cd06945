"""Fetching from the Hub: which files come, at which commit, what is written down, and what is refused."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import moved, random_tensors, write_model
from tests.tasks.fetch_project import BASE, client, contents, fetched_from_hub
from tests.tasks.hub_server import Fault, HubServer

NEEDED = {"config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "LICENSE"}
SHARDS = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"}


def model(folder: Path, seed: int, shards: int = 2) -> Path:
    """A model, and beside it what repositories hold that a merge does not need."""
    write_model(folder, moved(random_tensors(0), seed), shards)
    (folder / "original").mkdir()
    (folder / "checkpoint-10").mkdir()
    for name in (
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "optimizer.pt",
        "consolidated.safetensors",
        "stray.safetensors",
        "original/consolidated.00.pth",
        "checkpoint-10/model.safetensors",
        "README.md",
        ".gitattributes",
        "LICENSE",
        "tokenizer.json",
        "tokenizer.model",
    ):
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


def test_a_tag_comes_whole_and_without_the_rest(hub: HubServer, tmp_path: Path) -> None:
    commit = hub.publish("someone/base", model(tmp_path / "old", 1), "v1")
    hub.publish("someone/base", model(tmp_path / "new", 2))
    status, out, errors = fetched_from_hub(tmp_path / "project", hub, "someone/base", "v1")
    assert (status, out, errors) == (0, "fetched base from someone/base\n", "")
    found = contents(tmp_path / "project" / BASE)
    assert found.keys() == NEEDED | SHARDS
    assert all(content == (tmp_path / "old" / name).read_bytes() for name, content in found.items())
    record = json.loads((tmp_path / "project" / BASE / "source.json").read_text())
    assert {key: record[key] for key in ("source", "revision", "commit")} == {
        "source": "someone/base",
        "revision": "v1",
        "commit": commit,
    }
    assert record["files"] == {
        name: {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()} for name, content in found.items()
    }
    asked = {request.rpartition("/")[2] for request in hub.requests if "/resolve/" in request or "/store/" in request}
    assert asked == NEEDED | SHARDS


def test_a_model_in_one_file(hub: HubServer, tmp_path: Path) -> None:
    hub.publish("someone/base", model(tmp_path / "model", 1, shards=1))
    status, _, errors = fetched_from_hub(tmp_path / "project", hub, "someone/base")
    assert (status, errors) == (0, "")
    assert contents(tmp_path / "project" / BASE).keys() == NEEDED | {"model.safetensors"}


def test_a_commit_stays_though_the_branch_moves_in_between(hub: HubServer, tmp_path: Path) -> None:
    old, new = model(tmp_path / "old", 1), model(tmp_path / "new", 2)
    commit = hub.publish("someone/base", old)
    hub.faults = [Fault("GET .*index.json", times=1, then=lambda: hub.publish("someone/base", new))]
    status, _, errors = fetched_from_hub(tmp_path / "project", hub, "someone/base")
    assert (status, errors) == (0, "")
    found = contents(tmp_path / "project" / BASE)
    assert all(content == (old / name).read_bytes() for name, content in found.items())
    assert json.loads((tmp_path / "project" / BASE / "source.json").read_text())["commit"] == commit
    status, _, errors = fetched_from_hub(tmp_path / "project", hub, "someone/base", commit)
    assert (status, errors) == (0, "")
    assert contents(tmp_path / "project" / BASE) == found


@pytest.mark.parametrize(
    ("source", "revision", "repository", "settings", "says"),
    [
        ("someone/nothing", None, {}, {}, ["someone/nothing: not found on the Hub", "HF_TOKEN if it is private"]),
        ("someone/nothing", None, {}, {"HF_TOKEN": "t"}, ["not found on the Hub, or private", "your token"]),
        ("someone/base", "v9", {}, {}, ["has no revision 'v9'"]),
        ("someone/base", None, {"token": "secret"}, {}, ["HF_TOKEN"]),
        ("someone/base", None, {"terms": "secret"}, {}, ["access is restricted; accept its terms", "set HF_TOKEN"]),
        ("someone/base", None, {"terms": "secret"}, {"HF_TOKEN": "other"}, ["the account of your token has none"]),
        ("someone/base", None, {}, {"HF_HUB_OFFLINE": "1"}, ["offline mode is on (HF_HUB_OFFLINE)"]),
    ],
)
def test_what_the_hub_refuses_is_asked_for_once(
    source: str,
    revision: str | None,
    repository: dict[str, str],
    settings: dict[str, str],
    says: list[str],
    hub: HubServer,
    tmp_path: Path,
) -> None:
    hub.publish("someone/base", write_model(tmp_path / "model", random_tensors(0)))
    vars(hub.repositories["someone/base"]).update(repository)
    status, _, errors = fetched_from_hub(tmp_path / "project", hub, source, revision, **settings)
    assert status == 1
    assert all(words in errors for words in says), errors
    assert "Traceback" not in errors
    assert hub.times_asked("/api/models/[^/]*/[^/]*(/revision|$)") <= 1
    assert not (tmp_path / "project" / BASE).exists()


def test_the_token_opens_what_is_private_and_what_is_gated(hub: HubServer, tmp_path: Path) -> None:
    source = write_model(tmp_path / "model", random_tensors(0))
    hub.publish("someone/base", source)
    vars(hub.repositories["someone/base"]).update(token="secret", terms="secret")
    status, _, errors = fetched_from_hub(tmp_path / "project", hub, "someone/base", HF_TOKEN="secret")
    assert (status, errors) == (0, "")
    assert contents(tmp_path / "project" / BASE) == contents(source)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"pytorch_model.bin": b"p"}, ["pickle files alone (pytorch_model.bin)", "hf download", "wudi convert FOLDER"]),
        ({"adapter_config.json": b"{}", "adapter_model.bin": b"p"}, ["pickle files alone", "wudi convert FOLDER"]),
        ({"README.md": b"", "sub/model.safetensors": b""}, ["holds no .safetensors file"]),
        ({"model.safetensors.index.json": b'{"weight_map": {"w": "a.safetensors"}}', "b.safetensors": b""}, ["a.saf"]),
        ({"model.safetensors.index.json": b"{", "b.safetensors": b""}, ["not valid JSON"]),
    ],
)
def test_what_cannot_be_merged_is_told_before_a_weight_comes(
    files: dict[str, bytes], says: list[str], hub: HubServer, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    for name, content in {**files, "config.json": b"{}"}.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_bytes(content)
    hub.publish("someone/base", folder)
    status, _, errors = fetched_from_hub(tmp_path / "project", hub, "someone/base")
    assert status == 1
    assert all(words in errors for words in says), errors
    assert "Traceback" not in errors
    assert not hub.times_asked("(safetensors|bin)$")


def test_the_disk_is_looked_at_first(hub: HubServer, tmp_path: Path) -> None:
    hub.publish("someone/base", write_model(tmp_path / "model", random_tensors(0)))
    hub.announced["model.safetensors"] = 10**18
    status, _, errors = fetched_from_hub(tmp_path / "project", hub, "someone/base")
    assert status == 1
    assert "needs 1000000000.00 GB" in errors
    assert not hub.times_asked("safetensors$")


def test_an_adapter(hub: HubServer, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    (adapter / "checkpoint-10").mkdir(parents=True)
    names = ("adapter_config.json", "adapter_model.safetensors", "training_args.bin", "checkpoint-10/optimizer.pt")
    for name in names:
        (adapter / name).write_text("{}")
    hub.publish("someone/adapter", adapter)
    status, _, errors = fetched_from_hub(tmp_path / "project", hub, "someone/adapter")
    assert status == 1
    assert "someone/adapter: is a PEFT adapter; name the model that it was trained on as the base" in errors
    assert {request.rpartition("/")[2] for request in hub.requests if "/resolve/" in request} == set(names[:2])


def test_the_location_of_a_branch_is_its_commit_now(hub: HubServer, tmp_path: Path) -> None:
    commit = hub.publish("someone/base", write_model(tmp_path / "model", random_tensors(0)))
    program = (
        "import fsspec; from tasks.fetching.location import location; from tasks.params import Model\n"
        "where = location(Model(source='someone/base', revision='main'))\n"
        "files, path = fsspec.url_to_fs(where)\n"
        "print(where, files.size(f'{path}/config.json'))"
    )
    environment = client(hub, tmp_path)
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    size = (tmp_path / "model" / "config.json").stat().st_size
    assert done.stdout == f"hf://someone/base@{commit} {size}\n"
