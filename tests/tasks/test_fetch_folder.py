"""Fetching from a folder: links, odd names, read-only files, and copies that go on where they stopped."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from tasks.fetch import fetch
from tasks.params import load_params
from tests.conftest import moved, random_tensors, write_model
from tests.tasks.fetch_project import BASE, PARTIAL, contents, fetch_here, write_params
from wudi.errors import WudiError


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def fetched(source: Path | str) -> dict[str, bytes]:
    return contents(fetch_here(Path.cwd(), str(source)))


def stopped_before(model: Path, name: str) -> Path:
    """What a fetch leaves that stops at a file which cannot be read at the time."""
    aside = (model / name).rename(model.with_name("aside"))
    os.mkfifo(model / name)
    with pytest.raises(WudiError, match=f"{name}: cannot be read"):
        fetch_here(Path.cwd(), str(model))
    aside.replace(model / name)
    return PARTIAL


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_what_is_needed_and_what_is_written_down(form: str, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", random_tensors(0))
    (model / "pytorch_model.bin").write_bytes(b"pickle")
    (model / "source.json").write_text("{}")
    (model / "checkpoint-1").mkdir()
    found = fetched(form.format(model))
    assert found.keys() == {"config.json", "generation_config.json", "model.safetensors"}
    assert all(content == (model / name).read_bytes() for name, content in found.items())
    record = json.loads((BASE / "source.json").read_text())
    assert record["source"] == form.format(model)
    assert record["files"]["model.safetensors"] == {
        "size": len(found["model.safetensors"]),
        "sha256": hashlib.sha256(found["model.safetensors"]).hexdigest(),
    }
    shutil.rmtree(model)
    with pytest.raises(WudiError, match="no such folder"):
        fetched(model)
    assert contents(BASE) == found


def test_a_cache_of_links_read_only_with_odd_names(tmp_path: Path) -> None:
    blobs = write_model(tmp_path / "blöbs of mine", random_tensors(0), shards=2)
    model = tmp_path / "größe, 模型 1"
    model.mkdir()
    for file in blobs.iterdir():
        file.chmod(0o400)
        (model / file.name).symlink_to(os.path.relpath(file, model))
    (model / "Ωmega merges.txt").write_text("a b")
    model.chmod(0o500)
    found = fetched(model)
    assert found == contents(blobs) | {"Ωmega merges.txt": b"a b"}
    assert not any(file.is_symlink() for file in BASE.iterdir())
    (BASE / "config.json").write_text("{}")  # the copy is the project's own
    assert fetched(model) == found


@pytest.mark.parametrize("name", ["config.json", "model-00002-of-00002.safetensors"])
def test_a_broken_link_is_told(name: str, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", random_tensors(0), shards=2)
    (model / name).unlink()
    (model / name).symlink_to("../blobs/gone")
    with pytest.raises(WudiError, match=r"is a link to \.\./blobs/gone, which is not there; mend the link"):
        fetched(model)
    assert not BASE.exists()


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["pytorch_model.bin"], "pickle files alone .*`wudi convert .*model --out NEW`"),
        (["config.json"], "holds no .safetensors file"),
        (["consolidated.safetensors"], "holds no .safetensors file"),
        (["adapter_config.json", "other.safetensors"], "adapter without adapter_model.safetensors"),
        (["adapter_config.json", "model.safetensors"], "beside adapter_config.json"),
    ],
)
def test_what_cannot_be_merged(names: list[str], says: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for name in names:
        (tmp_path / "model" / name).write_text("{}")
    with pytest.raises(WudiError, match=says):
        fetched(tmp_path / "model")
    assert not (Path.cwd() / PARTIAL).exists()


def copy_times(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("*.safetensors")}


def test_a_copy_goes_on_where_it_stopped(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", random_tensors(0), shards=3)
    partial = stopped_before(model, "model-00003-of-00003.safetensors")
    before = copy_times(partial)
    assert before.keys() == {"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors"}
    assert fetched(model) == contents(model)
    after = copy_times(BASE)
    assert before.items() <= after.items()


@pytest.mark.parametrize("change", ["source", "copy", "record", "another"])
def test_what_no_longer_fits_is_copied_again(change: str, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", random_tensors(0), shards=3)
    partial = stopped_before(model, "model-00003-of-00003.safetensors")
    first = "model-00001-of-00003.safetensors"
    if change == "source":  # trained on: the same sizes
        shutil.rmtree(model)
        write_model(model, moved(random_tensors(0), 1), shards=3)
    elif change == "copy":
        (partial / first).write_bytes((partial / first).read_bytes()[:-1] + b"x")
    elif change == "record":
        (partial / ".fetching.json").write_text("{")
    else:
        model = write_model(tmp_path / "another", moved(random_tensors(0), 1), shards=2)
    assert fetched(model) == contents(model)
    assert not (Path.cwd() / PARTIAL).exists()


def test_a_revision_of_a_folder_is_refused(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", random_tensors(0))
    write_params(Path.cwd(), str(model), "v1")
    params = load_params()
    with pytest.raises(WudiError, match="got revision 'v1', but the Hub alone has revisions; set it to null"):
        fetch(params.base, BASE, params)
