"""Which pickle files make a model or an adapter, and which tensors each must hold."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from wudi.errors import WudiError
from wudi.folder import ADAPTER, ADAPTER_CONFIG, CONFIG, SINGLE, LocalFolder, is_adapter, read_json

PICKLE = "pytorch_model.bin"
PICKLE_INDEX = "pytorch_model.bin.index.json"
ADAPTER_PICKLE = "adapter_model.bin"
SUFFIXES = (".bin", ".pt", ".pth")
SHOWN = 6


@dataclass(frozen=True)
class PickleFolder:
    """A folder's pickles, or one bare file: `files` by the name that each gets as safetensors.

    `expected` is what the index says of the tensors in each pickle; empty where there is no index.
    """

    path: Path
    files: dict[str, Path]
    expected: dict[str, frozenset[str]]

    @property
    def folder(self) -> Path | None:
        """The folder whose config and tokenizer go along; None for a bare file."""
        return self.path if self.path.is_dir() else None

    @property
    def is_sharded(self) -> bool:
        """Whether there is an index, and is to be one of the result."""
        return bool(self.expected)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The content of config.json; empty where there is none."""
        return read_json(LocalFolder(self.path), CONFIG) if (self.path / CONFIG).is_file() else {}

    def check(self, file: Path, tensors: Collection[str]) -> None:
        """Raise a `WudiError` unless a pickle holds just what the index says."""
        expected = self.expected.get(file.name)
        if expected is None:
            return
        missing, extra = sorted(expected - set(tensors)), sorted(set(tensors) - expected)
        if missing:
            raise WudiError(f"{file}: misses {named(missing)}, which {PICKLE_INDEX} says it holds; fetch it again")
        if extra:
            raise WudiError(f"{file}: holds {named(extra)}, which {PICKLE_INDEX} does not name there; fetch both again")


def pickle_folder(path: Path) -> PickleFolder:
    """The pickles of a Hugging Face folder, of a PEFT adapter's folder, or the file itself.

    Raises:
        WudiError: Nothing there, safetensors already, no pickle by a name that transformers or PEFT reads, or a shard
            that is missing.
    """
    if not path.is_dir():
        return PickleFolder(path, {SINGLE: bare_file(path)}, {})
    present = sorted(file.name for file in path.glob("*.safetensors"))
    if present:
        raise WudiError(
            f"{path}: has safetensors already ({present[0]}), so there is nothing to convert; use it as it is"
        )
    if is_adapter(path):
        if not (path / ADAPTER_PICKLE).is_file():
            raise WudiError(f"{path}: has {ADAPTER_CONFIG} but no {ADAPTER_PICKLE} beside it; fetch the adapter again")
        return PickleFolder(path, {ADAPTER: path / ADAPTER_PICKLE}, {})
    if (path / PICKLE).is_file():  # what transformers reads, whatever lies beside it
        return PickleFolder(path, {SINGLE: path / PICKLE}, {})
    if (path / PICKLE_INDEX).is_file():
        return sharded(path)
    others = sorted(file.name for file in path.iterdir() if file.suffix in SUFFIXES)
    hint = f"; if {others[0]} is the model, name that file" if others else ""
    raise WudiError(f"{path}: holds neither {PICKLE} nor {PICKLE_INDEX}{hint}")


def bare_file(path: Path) -> Path:
    """A file that is a whole checkpoint of its own."""
    if path.suffix == ".safetensors" and path.is_file():
        raise WudiError(f"{path}: is safetensors already, so there is nothing to convert; use it as it is")
    if path.suffix not in SUFFIXES or not path.is_file():
        found = "a file of another kind" if path.exists() else "nothing"
        raise WudiError(f"{path}: found {found}; takes a Hugging Face folder or a {', '.join(SUFFIXES)} file")
    if re.search(r"-\d{5}-of-\d{5}$", path.stem):
        raise WudiError(f"{path}: is one shard of a model; name its folder, {path.parent}")
    if path.name == ADAPTER_PICKLE and is_adapter(path.parent):
        raise WudiError(f"{path}: is an adapter's weights without their scaling; name its folder, {path.parent}")
    return path


def sharded(path: Path) -> PickleFolder:
    """The shards that the index of a folder names."""
    content = read_json(LocalFolder(path), PICKLE_INDEX).get("weight_map")
    weight_map: dict[str, Any] = content if isinstance(content, dict) else {}
    names = set(weight_map.values()) if all(isinstance(name, str) for name in weight_map.values()) else set()
    if not names or any(Path(name).name != name for name in names):
        raise WudiError(
            f"{path / PICKLE_INDEX}: has no weight_map from tensors to files beside it; fetch the checkpoint again"
        )
    shards = sorted(names)
    missing = [name for name in shards if not (path / name).is_file()]
    if missing:
        raise WudiError(f"{path}: its index names files that are not there: {', '.join(missing)}; fetch it again")
    files = {f"model-{n:05d}-of-{len(shards):05d}.safetensors": path / name for n, name in enumerate(shards, start=1)}
    holds = {shard: frozenset(name for name, holder in weight_map.items() if holder == shard) for shard in shards}
    return PickleFolder(path, files, holds)


def named(tensors: list[str]) -> str:
    """The first few tensors by name, and how many more there are."""
    return f"{'tensors' if len(tensors) > 1 else 'tensor'} {listed(tensors)}"


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
