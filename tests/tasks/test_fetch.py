"""Fetching from the zoo, a folder and a real Hub server with faults."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT, moved, random_tensors, write_model
from tests.tasks.hub import Hub


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A Hub's folder with one model at two revisions, and files that a merge does not need."""
    tensors = random_tensors(0)
    for name, content in {"base": tensors, "base@v1": moved(tensors, 1)}.items():
        folder = write_model(tmp_path / "hub" / "models" / "someone" / name, content, shards=2)
        (folder / "pytorch_model.bin").write_bytes(b"pickle")
        (folder / "optimizer.pt").write_bytes(b"state")
        (folder / "tokenizer.json").write_text("{}")
    return tmp_path / "hub"


def fetch(folder: Path, source: str, revision: str | None = None, env: dict[str, str] | None = None) -> Any:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["base"] = {"source": source, "revision": revision}
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    environment = env or {**os.environ, "PYTHONPATH": str(ROOT)}
    arguments = [sys.executable, "-m", "tasks.fetch", "base"]
    return subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_from_the_hub(hub_server: Path, root: Path, tmp_path: Path) -> None:
    with Hub(hub_server, tmp_path / "hf", root=root) as hub:
        done = fetch(tmp_path / "project", "someone/base", "v1", hub.client(ROOT))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "fetched base from someone/base\n"
    assert done.stderr == ""
    base = tmp_path / "project" / "models" / "base"
    source = root / "models" / "someone" / "base@v1"
    assert {file.name for file in base.iterdir()} == {
        *(file.name for file in source.iterdir() if file.suffix not in (".bin", ".pt")),
        "source.json",
    }
    for file in source.glob("*.safetensors"):
        assert (base / file.name).read_bytes() == file.read_bytes()
    record = json.loads((base / "source.json").read_text())
    assert record["source"] == "someone/base"
    assert record["revision"] == "v1"
    assert len(record["commit"]) == 40


def test_a_hub_that_fails_at_first(hub_server: Path, root: Path, tmp_path: Path) -> None:
    with Hub(hub_server, tmp_path / "hf", root=root, fail_first=2, truncate_first=1) as hub:
        done = fetch(tmp_path / "project", "someone/base", env=hub.client(ROOT))
    assert done.returncode == 0, done.stderr
    for file in (root / "models" / "someone" / "base").glob("*.safetensors"):
        assert (tmp_path / "project" / "models" / "base" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("source", "revision", "options", "says"),
    [
        ("someone/nothing", None, {}, "someone/nothing: not found on the Hub"),
        ("someone/base", "v9", {}, "has no revision 'v9'"),
        ("someone/base", None, {"token": "secret"}, "HF_TOKEN"),
    ],
)
def test_what_the_hub_refuses(
    source: str, revision: str | None, options: dict[str, Any], says: str, hub_server: Path, root: Path, tmp_path: Path
) -> None:
    with Hub(hub_server, tmp_path / "hf", root=root, **options) as hub:
        done = fetch(tmp_path / "project", source, revision, hub.client(ROOT))
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "project" / "models" / "base").exists()


def test_from_a_folder(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", random_tensors(0))
    (model / "pytorch_model.bin").write_bytes(b"pickle")
    done = fetch(tmp_path / "project", str(model))
    assert done.returncode == 0, done.stderr
    names = {file.name for file in (tmp_path / "project" / "models" / "base").iterdir()}
    assert names == {"config.json", "generation_config.json", "model.safetensors", "source.json"}
    shutil.rmtree(model)
    done = fetch(tmp_path / "project", str(model))
    assert done.returncode == 1
    assert f"{model}: no such folder" in done.stderr
