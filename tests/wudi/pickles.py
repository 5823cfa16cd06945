"""Checkpoints as torch pickles them, and what came out of their conversion."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.conftest import CONFIG
from tests.wudi.merges import all_tensors
from wudi.convert import convert

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
SHARD, QUERY = "pytorch_model-00002-of-00003.bin", "model.layers.0.self_attn.q_proj.weight"


def folder_of(path: Path, tensors: dict[str, Any], shards: int = 1, ties: bool = False) -> Path:
    """A Hugging Face folder as transformers wrote it before safetensors."""
    path.mkdir(parents=True)
    (path / "config.json").write_text(CONFIG.replace("false", str(ties).lower()))
    for name, text in (("generation_config.json", '{"eos_token_id": 1}\n'), ("README.md", "# Ours\n")):
        (path / name).write_text(text)
    (path / "training_args.bin").write_bytes(b"of no use")
    if shards == 1:
        torch.save(tensors, path / "pytorch_model.bin")
        return path
    names, weight_map = list(tensors), {}
    for number in range(shards):
        file = f"pytorch_model-{number + 1:05d}-of-{shards:05d}.bin"
        torch.save({name: tensors[name] for name in names[number::shards]}, path / file)
        weight_map |= dict.fromkeys(names[number::shards], file)
    write_index(path, weight_map)
    return path


def write_index(folder: Path, weight_map: dict[str, str]) -> None:
    content = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(content))


def one_file(path: Path, content: Any, **how: Any) -> Path:
    torch.save(content, path, **how)
    return path


def converted(path: Path, out: Path) -> dict[str, Tensor]:
    return all_tensors(convert(path, out).out)


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(
        found[name].dtype == tensor.dtype and torch.equal(found[name], tensor) for name, tensor in expected.items()
    )


def change_shard(folder: Path, change: Callable[[dict[str, Tensor]], Any]) -> None:
    tensors = torch.load(folder / SHARD, weights_only=True)
    change(tensors)
    torch.save(tensors, folder / SHARD)
