"""A checkpoint on this machine: the tensors of a Hugging Face folder, a PEFT adapter or one `.safetensors` file."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Self

from torch import Tensor

from wudi.errors import WudiError
from wudi.folder import ADAPTER, ADAPTER_CONFIG, LocalFolder, opened
from wudi.outline import Outline
from wudi.safetensors_file import Header, SafetensorsFile


class Checkpoint(Outline):
    """Opens every file memory-mapped; a tensor is read when it is asked for.

    Raises:
        WudiError: There is no such file or folder, it holds no safetensors, or one of them is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = local(path)
        super().__init__(self._local)

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        # Another process maps the files itself.
        return type(self), (self.path.absolute(),)

    @property
    def folder(self) -> Path | None:
        """The model folder; None for a single file."""
        return self.path if self.path.is_dir() else None

    def read(self, name: str) -> Tensor:
        """The tensor of this name, on the CPU, in its own dtype."""
        return self.file(name).tensor(name)

    def read_entries(self, name: str, first: int, last: int) -> Tensor:
        """A tensor's entries from `first` to before `last`, in the order of the file, shape (n,)."""
        return self.file(name).entries(name, first, last)

    def file(self, name: str) -> SafetensorsFile:
        """The file that holds a tensor."""
        return self._local.opened(self.file_of[name])

    @property
    def paths(self) -> dict[str, Path]:
        """The files whose bytes decide what the tensors are: the weights, and an adapter's settings."""
        names = [*self.headers, *([ADAPTER_CONFIG] if self.is_adapter else [])]
        parent = self.folder or self.path.parent
        return {name: parent / name for name in names}


class BareFile(LocalFolder):
    """One `.safetensors` file in the place of a folder that holds nothing else."""

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """The file alone."""
        return {self.path.name: self.path.stat().st_size}

    def header(self, name: str) -> Header:
        """The file's header."""
        return self.opened(name).header

    def opened(self, name: str) -> SafetensorsFile:
        """The file, memory-mapped."""
        if name not in self._opened:
            self._opened[name] = opened(self.path)
        return self._opened[name]


def local(path: Path) -> LocalFolder:
    """The folder, or the file in its place.

    Raises:
        WudiError: It is neither.
    """
    if path.name == ADAPTER and (path.parent / ADAPTER_CONFIG).is_file():
        raise WudiError(f"{path}: is an adapter's weights without their scaling; name its folder, {path.parent}")
    if path.is_file() and path.suffix == ".safetensors":
        return BareFile(path)
    if path.is_dir():
        return LocalFolder(path)
    found = "a file that is no .safetensors" if path.exists() else "nothing"
    hub = (
        ""
        if path.exists() or path.is_absolute() or len(path.parts) != 2
        else (f"; a model of the Hub is brought here by `hf download {path} --local-dir FOLDER`")
    )
    raise WudiError(f"{path}: found {found}; takes a Hugging Face folder or a .safetensors file{hub}")
