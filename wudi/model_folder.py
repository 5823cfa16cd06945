"""What makes a folder of shards a model: index, config, tokenizer."""

import json
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from wudi.folder import CONFIG, INDEX, SINGLE
from wudi.tensor_info import TensorInfo
from wudi.vocabulary_tensors import with_vocab_size
from wudi.work_folder import WorkFolder

NOT_COPIED = (
    "*.safetensors",
    "*.index.json",
    "*.bin",
    "*.pt",
    "*.pth",
    "*.gguf",
    "*.h5",
    "*.msgpack",
    "*.ot",
    "*.onnx",
    "README.md",
    "merge.json",
    "source.json",
)
PACKAGES = ("wudi", "torch", "safetensors", "transformers")


def copy_companions(source: Path, target: Path, dtype: str | None) -> None:
    """Copy config, generation config, tokenizer and chat template; `dtype`, if given, is written into the config."""
    for file in sorted(source.iterdir()):
        if file.is_file() and not file.name.startswith(".") and not any(file.match(skip) for skip in NOT_COPIED):
            shutil.copyfile(file, target / file.name)
    config = target / "config.json"
    if dtype is not None and config.is_file():
        content = json.loads(config.read_text(encoding="utf-8"))
        content["torch_dtype" if "torch_dtype" in content else "dtype"] = dtype
        config.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_index(work: WorkFolder, shards: Mapping[str, Sequence[str]], infos: Mapping[str, TensorInfo]) -> None:
    """Say which shard holds which tensor, as transformers expects it of every model but a single-file one."""
    if list(shards) == [SINGLE]:
        return
    weight_map = {tensor: shard for shard, tensors in shards.items() for tensor in tensors}
    total = sum(info.bytes for info in infos.values())
    work.write_json(INDEX, {"metadata": {"total_size": total}, "weight_map": weight_map})


def resize(work: WorkFolder, rows: int) -> None:
    """Write a vocabulary's number of rows into the config."""
    content = json.loads((work.path / CONFIG).read_text(encoding="utf-8"))
    work.write_text(CONFIG, json.dumps(with_vocab_size(content, rows), indent=2) + "\n")


def versions() -> dict[str, str]:
    """The versions of what computed a merge."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
