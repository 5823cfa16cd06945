"""A checkpoint's files, wherever they lie: their names, their small texts and the headers of their weights."""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from wudi.errors import WudiError
from wudi.safetensors_file import DamagedFile, Header, SafetensorsFile

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_model.safetensors"
ADAPTER_CONFIG = "adapter_config.json"
CONFIG = "config.json"


class Folder(Protocol):
    """What preflight needs to know, on this machine or over a network."""

    where: str
    """Its path or address, for messages."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """The files that lie in it, not deeper, with their sizes in bytes."""

    def text(self, name: str) -> str:
        """The content of a small file."""

    def header(self, name: str) -> Header:
        """The header of a weights file."""


class LocalFolder:
    """A folder on this machine; weights that were looked at stay memory-mapped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = str(path)
        self._opened: dict[str, SafetensorsFile] = {}

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """The files in the folder, with their sizes."""
        return {file.name: file.stat().st_size for file in sorted(self.path.iterdir()) if file.is_file()}

    def text(self, name: str) -> str:
        """The content of a small file."""
        return (self.path / name).read_text(encoding="utf-8")

    def header(self, name: str) -> Header:
        """The header of a weights file."""
        return self.opened(name).header

    def opened(self, name: str) -> SafetensorsFile:
        """A weights file, memory-mapped.

        Raises:
            WudiError: It is damaged.
        """
        if name not in self._opened:
            self._opened[name] = opened(self.path / name)
        return self._opened[name]


def opened(path: Path) -> SafetensorsFile:
    """Memory-map a safetensors file, or say which one is damaged."""
    try:
        return SafetensorsFile(path)
    except (DamagedFile, OSError) as error:
        raise WudiError(f"{path}: not a sound safetensors file ({error}); fetch it again") from None


def weights_files(folder: Folder) -> list[str]:
    """The files that hold the model or the adapter: those of the index, or what transformers and PEFT would read.

    Raises:
        WudiError: There are none, or some are missing.
    """
    names = folder.sizes
    if ADAPTER_CONFIG in names:
        return [adapter_file(folder)]
    if INDEX in names:
        files = sorted(set(weight_map(folder).values()))
        missing = [name for name in files if name not in names]
        if missing:
            raise WudiError(
                f"{folder.where}: its index names files that are not there: {', '.join(missing)}; fetch it again"
            )
        return files
    if SINGLE in names:  # what transformers reads, whatever lies beside it
        return [SINGLE]
    files = sorted(name for name in names if name.endswith(".safetensors"))
    if not files:
        raise WudiError(f"{folder.where}: {without_safetensors(folder)}")
    return files


def adapter_file(folder: Folder) -> str:
    """The weights file of an adapter's folder."""
    model = next((name for name in (SINGLE, INDEX) if name in folder.sizes), None)
    if model is not None:
        raise WudiError(
            f"{folder.where}: holds {model} beside {ADAPTER_CONFIG}; keep either the model or the adapter there"
        )
    if ADAPTER in folder.sizes:
        return ADAPTER
    raise WudiError(
        f"{folder.where}: is a PEFT adapter without {ADAPTER}; adapter_model.bin is a pickle, which can run code when "
        f"it is read; {conversion(folder)}"
    )


def without_safetensors(folder: Folder) -> str:
    """Why a folder cannot be read, and what to do."""
    pickles = [name for name in folder.sizes if name.endswith((".bin", ".pt", ".pth"))]
    if not pickles:
        return "holds no .safetensors file; name the folder that holds a model's weights"
    return f"holds pickle files alone ({pickles[0]}), which can run code when they are read; {conversion(folder)}"


def conversion(folder: Folder) -> str:
    """The command that makes safetensors of pickles."""
    return f"`wudi convert {folder.where} --out NEW` reads weights alone and runs nothing"


def weight_map(folder: Folder) -> dict[str, str]:
    """Each tensor with the file that the index says it is in.

    Raises:
        WudiError: The index is damaged, or names files elsewhere.
    """
    found = read_json(folder, INDEX).get("weight_map")
    files = found.values() if isinstance(found, dict) else []
    if (
        not isinstance(found, dict)
        or not files
        or not all(isinstance(name, str) and Path(name).name == name for name in files)
    ):
        raise WudiError(
            f"{folder.where}/{INDEX}: has no weight_map from tensors to files beside it; fetch the checkpoint again"
        )
    return dict(found)


def read_json(folder: Folder, name: str) -> dict[str, Any]:
    """The JSON object in a file of the folder.

    Raises:
        WudiError: It is damaged.
    """
    where = f"{folder.where}/{name}"
    try:
        content = json.loads(folder.text(name))
    except (OSError, ValueError) as error:
        raise WudiError(f"{where}: not valid JSON ({error}); fetch the checkpoint again") from None
    if not isinstance(content, dict):
        raise WudiError(f"{where}: holds no JSON object; fetch the checkpoint again")
    return content


def is_adapter(path: Path) -> bool:
    """Whether a folder is one that PEFT saved."""
    return (path / ADAPTER_CONFIG).is_file()
