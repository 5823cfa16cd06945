"""A checkpoint: the tensors of a Hugging Face folder, a PEFT adapter or one `.safetensors` file, by name."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from wudi.errors import WudiError

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2}
BYTES |= {"I8": 1, "U8": 1, "BOOL": 1}
FLOATING = {"F64", "F32", "F16", "BF16"}


@dataclass(frozen=True)
class TensorInfo:
    """What a header says of a tensor: `dtype` in safetensors' words (F32, BF16, ...)."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def floating(self) -> bool:
        """Whether there is something to merge; buffers of whole numbers are copied from the base."""
        return self.dtype in FLOATING

    @property
    def elements(self) -> int:
        """The number of entries."""
        count = 1
        for size in self.shape:
            count *= size
        return count

    @property
    def bytes(self) -> int:
        """The size in bytes."""
        return self.elements * BYTES[self.dtype]


class Checkpoint:
    """Opens every file memory-mapped; a tensor is read when it is asked for.

    Raises:
        WudiError: There is no such file or folder, it holds no safetensors, or one of them is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = safetensors_files(path)
        self._handles = {file.name: opened(file) for file in self.files}
        self.shards: dict[str, tuple[str, ...]] = {
            name: tuple(sorted(handle.keys())) for name, handle in self._handles.items()
        }
        self._shard_of = {tensor: shard for shard, tensors in self.shards.items() for tensor in tensors}
        self._refuse_tensors_in_two_files()

    def _refuse_tensors_in_two_files(self) -> None:
        for shard, tensors in self.shards.items():
            for tensor in tensors:
                other = self._shard_of[tensor]
                if other != shard:
                    raise WudiError(
                        f"{self.path}: tensor {tensor} is in {shard} and in {other}; move the files away that are not "
                        "of the model"
                    )

    @cached_property
    def tensors(self) -> dict[str, TensorInfo]:
        """Every tensor's dtype and shape, from the headers alone, sorted by name."""
        infos = {}
        for name in sorted(self._shard_of):
            part = self._handles[self._shard_of[name]].get_slice(name)
            infos[name] = TensorInfo(part.get_dtype(), tuple(part.get_shape()))
        return infos

    @property
    def folder(self) -> Path | None:
        """The model folder; None for a single file."""
        return self.path if self.path.is_dir() else None

    @property
    def is_adapter(self) -> bool:
        """Whether it holds the factors of a PEFT adapter and not the weights of a model."""
        return is_adapter(self.path)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The content of config.json; empty where there is none."""
        file = self.path / "config.json"
        return read_json(file) if file.is_file() else {}

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata in the header of the first file."""
        return self._handles[self.files[0].name].metadata() or {}

    def read(self, name: str) -> Tensor:
        """The tensor of this name, on the CPU, in its own dtype."""
        tensor: Tensor = self._handles[self._shard_of[name]].get_tensor(name)
        return tensor

    @cached_property
    def sha256(self) -> dict[str, str]:
        """The hash of each weights file, and of an adapter's settings: they scale its weights."""
        settings = [self.path / ADAPTER_CONFIG] if self.is_adapter else []
        return {file.name: file_sha256(file) for file in [*self.files, *settings]}


def is_adapter(path: Path) -> bool:
    """Whether a folder is one that PEFT saved."""
    return (path / ADAPTER_CONFIG).is_file()


def safetensors_files(path: Path) -> list[Path]:
    """The weights files of a folder (from its index, where it has one) or the file itself."""
    if path.name == ADAPTER and is_adapter(path.parent):
        raise WudiError(f"{path}: is an adapter's weights without their scaling; name its folder, {path.parent}")
    if path.is_file() and path.suffix == ".safetensors":
        return [path]
    if not path.is_dir():
        found = "a file that is no .safetensors" if path.exists() else "nothing"
        raise WudiError(f"{path}: found {found}; takes a Hugging Face folder or a .safetensors file")
    if is_adapter(path):
        return [adapter_file(path)]
    index = path / INDEX
    if index.is_file():
        names = indexed_files(index)
        missing = [name for name in names if not (path / name).is_file()]
        if missing:
            raise WudiError(f"{path}: its index names files that are not there: {', '.join(missing)}; fetch it again")
        return [path / name for name in names]
    if (path / SINGLE).is_file():  # what transformers reads, whatever lies beside it
        return [path / SINGLE]
    files = sorted(path.glob("*.safetensors"))
    if files:
        return files
    raise WudiError(f"{path}: {without_safetensors(path)}")


def adapter_file(path: Path) -> Path:
    """The weights file of an adapter's folder."""
    model = next((name for name in (SINGLE, INDEX) if (path / name).is_file()), None)
    if model is not None:
        raise WudiError(f"{path}: holds {model} beside {ADAPTER_CONFIG}; keep either the model or the adapter there")
    if (path / ADAPTER).is_file():
        return path / ADAPTER
    raise WudiError(
        f"{path}: is a PEFT adapter without {ADAPTER}; adapter_model.bin is a pickle, which can run code when it is "
        "read; save it again with save_pretrained() of peft, which writes safetensors"
    )


def indexed_files(index: Path) -> list[str]:
    """The shards that an index names, which lie beside it."""
    weight_map = read_json(index).get("weight_map")
    names = weight_map.values() if isinstance(weight_map, dict) else []
    if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
        raise WudiError(f"{index}: has no weight_map from tensors to files beside it; fetch the checkpoint again")
    return sorted(set(names))


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in a file."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WudiError(f"{file}: not valid JSON ({error}); fetch the checkpoint again") from None
    if not isinstance(content, dict):
        raise WudiError(f"{file}: holds no JSON object; fetch the checkpoint again")
    return content


def without_safetensors(path: Path) -> str:
    """Why a folder cannot be read, and what to do."""
    pickles = [file.name for pattern in ("*.bin", "*.pt", "*.pth") for file in sorted(path.glob(pattern))]
    if pickles:
        return (
            f"holds pickle files alone ({pickles[0]}), which can run code when they are read; "
            "save it again with save_pretrained() of transformers, which writes safetensors"
        )
    return "holds no .safetensors file"


def opened(file: Path) -> Any:
    """Memory-map a safetensors file, or say which one is damaged."""
    try:
        return safe_open(file, framework="pt", device="cpu")
    except (SafetensorError, OSError) as error:
        raise WudiError(f"{file}: not a sound safetensors file ({error}); fetch it again") from None


def file_sha256(file: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
