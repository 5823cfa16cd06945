"""Looking at models that lie elsewhere: all that a local one tells, and not a byte of a weight."""

import re
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from tests.conftest import random_tensors, write_model
from tests.wudi.changed_experts import adapter, deeper, expert_of, resized
from tests.wudi.range_hub import RangeHub
from wudi.errors import WudiError
from wudi.experts import ExpertOutline
from wudi.folder import INDEX
from wudi.preflight import examine
from wudi.remote import Unreachable, outline


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[RangeHub]:
    with RangeHub() as server:
        monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": server.url, "token": False})
        yield server


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_model(tmp_path / "base", random_tensors(0))


def test_every_problem_of_a_remote_model_is_told_without_a_byte_of_a_weight(hub: RangeHub, tmp_path: Path) -> None:
    local = {
        "base": write_model(tmp_path / "sharded", random_tensors(0), shards=3),
        "fine": expert_of(tmp_path / "fine"),
        "deep": expert_of(tmp_path / "deep", deeper),
        "rows": expert_of(tmp_path / "rows", resized),
        "adapter": adapter(tmp_path / "adapter"),
    }
    hub.folders = {f"someone/{name}": folder for name, folder in local.items()}
    remote = {name: outline(f"someone/{name}") for name in local}
    names = [name for name in local if name != "base"]
    far = examine(remote["base"], [ExpertOutline(name, remote[name]) for name in names])
    near = examine(outline(local["base"]), [ExpertOutline(name, outline(local[name])) for name in names])
    assert far.problems == near.problems
    assert {problem.expert for problem in far.problems} == {"deep", "rows"}
    assert hub.weight_bytes_sent() == 0
    assert sum(name.endswith(".safetensors") for name in hub.sent) == 7
    assert {name: remote[name].tensors for name in local} == {name: outline(local[name]).tensors for name in local}


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("someone/nothing", "someone/nothing: no such folder here, and not found on the Hub"),
        ("someone/base@v9", "someone/base@v9: has no such revision; name a branch, tag or commit"),
        ("someone/gated", "someone/gated: access is restricted; accept its terms on the Hub and set HF_TOKEN"),
        ("someone/pickles", "someone/pickles: holds pickle files alone (pytorch_model.bin), which can run"),
        ("someone/damaged", "someone/damaged/model.safetensors: not a sound safetensors file"),
        ("someone/cut", "someone/cut: its index names files that are not there"),
        ("nothing://at/all", "nothing://at/all: cannot be read"),
        ("./nothing", "found nothing; takes a Hugging Face folder"),
    ],
)
@pytest.mark.usefixtures("base")
def test_what_cannot_be_looked_at_is_one_paragraph(model: str, says: str, hub: RangeHub, tmp_path: Path) -> None:
    hub.folders = {f"someone/{name}": tmp_path / name for name in ("base", "gated", "pickles", "damaged", "cut")}
    write_model(tmp_path / "gated", random_tensors(0))
    hub.gated.add("someone/gated")
    (tmp_path / "pickles").mkdir()
    (tmp_path / "pickles" / "pytorch_model.bin").write_bytes(b"p")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"\xff" * 64)
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / INDEX).write_text('{"weight_map": {"w": "a.safetensors"}}')
    with pytest.raises(WudiError, match=re.escape(says)) as caught:
        outline(model)
    assert "\n" not in str(caught.value)


def test_a_place_that_does_not_answer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": "http://127.0.0.1:1", "token": False})
    with pytest.raises(Unreachable, match="someone/base: did not answer"):
        outline("someone/base")


def test_any_url_of_fsspec(base: Path) -> None:
    files = fsspec.filesystem("memory")
    files.put(str(base), "/store/model", recursive=True)
    found = outline("memory://store/model")
    assert found.tensors == outline(base).tensors
    assert found.config == outline(base).config
    files.rm("/store", recursive=True)
    with pytest.raises(WudiError, match="memory://store/model: nothing is there"):
        outline("memory://store/model")
