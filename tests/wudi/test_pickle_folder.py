"""Which pickles make a checkpoint: what is refused before a weight is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.conftest import random_tensors
from tests.wudi.merges import nothing_written
from tests.wudi.pickles import QUERY, SHARD, change_shard, folder_of, write_index
from wudi import WudiError
from wudi.convert import convert


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: change_shard(f, lambda t: t.pop(QUERY)), rf"{SHARD}: misses tensor {QUERY}, which"),
        (lambda f: change_shard(f, lambda t: t.update(new=torch.ones(1))), rf"{SHARD}: holds tensor new, which"),
        (lambda f: (f / SHARD).unlink(), rf"names files that are not there: {SHARD}"),
        (lambda f: write_index(f, {}), "has no weight_map"),
        (lambda f: write_index(f, {"w": "../w.bin"}), "has no weight_map"),
        (lambda f: write_index(f, {"w": 3}), "has no weight_map"),
    ],
)
def test_an_index_that_disagrees_with_its_shards(change: Callable[[Path], Any], says: str, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", random_tensors(0), shards=3)
    change(source)
    with pytest.raises(WudiError, match=says):
        convert(source, tmp_path / "out")
    assert nothing_written(tmp_path / "out")


def test_sources_that_there_is_nothing_to_convert_of(tmp_path: Path) -> None:
    both = folder_of(tmp_path / "both", random_tensors(0))
    save_file(random_tensors(0), both / "model.safetensors")
    sharded = folder_of(tmp_path / "sharded", random_tensors(0), shards=2)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    other = tmp_path / "other"
    other.mkdir()
    torch.save(random_tensors(0), other / "consolidated.00.pth")
    (tmp_path / "notes.txt").write_text("x")
    cases = {
        both: "has safetensors already",
        both / "model.safetensors": "is safetensors already",
        tmp_path / "nowhere": "found nothing; takes",
        tmp_path / "notes.txt": "found a file of another kind",
        sharded / "pytorch_model-00001-of-00002.bin": "is one shard of a model; name its folder",
        adapter: r"no adapter_model\.bin beside it",
        other: r"holds neither pytorch_model\.bin nor .*; if consolidated\.00\.pth is the model, name that file",
    }
    for path, says in cases.items():
        with pytest.raises(WudiError, match=says):
            convert(path, tmp_path / "out")
    torch.save(random_tensors(0), adapter / "adapter_model.bin")
    with pytest.raises(WudiError, match="name its folder"):
        convert(adapter / "adapter_model.bin", tmp_path / "out")
    assert nothing_written(tmp_path / "out")
