"""The state dict in one pickle file, read without running anything that is in it."""

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wudi.errors import WudiError
from wudi.safetensors_file import TORCH
from wudi.tensor_info import TensorInfo

NESTED = ("state_dict", "model")
"""The entries under which training programs save a state dict beside their own state."""

DTYPES = {dtype: name for name, dtype in TORCH.items()}
ZIP, LFS = b"PK\x03\x04", b"version https://git-lfs"
RESERVED = "__metadata__"


@dataclass(frozen=True)
class StateDict:
    """The tensors of a file by name, sorted, and the names of its entries that are none."""

    tensors: dict[str, Tensor]
    left_out: tuple[str, ...]

    @property
    def infos(self) -> dict[str, TensorInfo]:
        """Every tensor's dtype and shape."""
        return {name: info_of(tensor) for name, tensor in self.tensors.items()}


def read_pickle(file: Path) -> StateDict:
    """The state dict in a file, memory-mapped where its format allows.

    It may lie under one of the names `NESTED`. Numbers, strings and the state of a training program are left out.

    Raises:
        WudiError: The file is no sound pickle, asks for code to be run, or holds no tensors, or such as safetensors
            cannot hold.
    """
    state, left_out = state_dict(file, unpickled(file))
    tensors = {}
    for name, value in sorted(state.items(), key=lambda entry: str(entry[0])):
        if isinstance(value, Tensor):
            tensors[name] = plain(file, name, value)
        elif holds_tensors(value):
            raise WudiError(f"{file}: entry {name} is a {type(value).__name__} with tensors in it; takes tensors alone")
        else:
            left_out.append(str(name))
    return StateDict(tensors, tuple(left_out))


def state_dict(file: Path, content: Any) -> tuple[Mapping[Any, Any], list[str]]:
    """The state dict in the content of a file, and the names of what lies beside it."""
    if not isinstance(content, Mapping):
        raise WudiError(f"{file}: holds a {type(content).__name__}, not a state dict from names to tensors")
    if any(isinstance(value, Tensor) for value in content.values()):
        return content, []
    for key in NESTED:
        inner = content.get(key)
        if isinstance(inner, Mapping) and holds_tensors(inner):
            return inner, [str(other) for other in content if other != key]
    shown = ", ".join(map(str, list(content)[:8])) or "nothing"
    raise WudiError(f"{file}: has no tensors, neither directly nor under {' or '.join(NESTED)}; holds {shown}")


def holds_tensors(value: Any) -> bool:
    """Whether there is a tensor in a value, however deep; a container may hold itself."""
    pending, seen = [value], set()
    while pending:
        part = pending.pop()
        if isinstance(part, Tensor):
            return True
        if isinstance(part, Mapping | list | tuple | set) and id(part) not in seen:
            seen.add(id(part))
            pending.extend(part.values() if isinstance(part, Mapping) else part)
    return False


def plain(file: Path, name: Any, tensor: Tensor) -> Tensor:
    """The values alone of a tensor that safetensors can hold."""
    if not isinstance(name, str) or name == RESERVED or not encodable(name):
        raise WudiError(f"{file}: a tensor has the name {name!r}, which safetensors cannot hold; rename it")
    if type(tensor) not in (Tensor, torch.nn.Parameter) or tensor.layout != torch.strided or tensor.is_meta:
        kind = "without values" if tensor.is_meta else f"of the kind {type(tensor).__name__}, {tensor.layout}"
        raise WudiError(f"{file}: tensor {name} is {kind}; takes dense ones: save it again as such")
    if tensor.dtype not in DTYPES:
        allowed = ", ".join(str(dtype).removeprefix("torch.") for dtype in DTYPES)
        raise WudiError(f"{file}: tensor {name} is {tensor.dtype}; takes {allowed}: save it again in one of these")
    return tensor.detach().resolve_neg()


def encodable(name: str) -> bool:
    """Whether a name can be written as UTF-8; a pickle's can be half of a surrogate pair."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def info_of(tensor: Tensor) -> TensorInfo:
    """A tensor's dtype, in safetensors' words, and shape."""
    return TensorInfo(DTYPES[tensor.dtype], tuple(tensor.shape))


def same_storage(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors are the same view of the same memory."""
    return view_of(first) == view_of(second)


def view_of(tensor: Tensor) -> tuple[Any, ...]:
    """What tells one view of memory from another."""
    return (tensor.untyped_storage().data_ptr(), tensor.storage_offset(), tensor.dtype, tensor.shape, tensor.stride())


def unpickled(file: Path) -> Any:
    """The content of a pickle: torch's unpickler builds tensors and plain containers, and calls nothing else."""
    try:
        with file.open("rb") as stream:
            start = stream.read(max(len(ZIP), len(LFS)))
        if start == LFS:
            raise WudiError(f"{file}: is a Git LFS pointer and not the weights; fetch them with `git lfs pull`")
        mapped = start.startswith(ZIP) and is_stored(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other protocols and old containers: they load, or the error says why
            return torch.load(str(file), map_location="cpu", weights_only=True, mmap=mapped)
    except WudiError:
        raise
    except MemoryError:
        raise short_of_memory(file) from None
    except pickle.UnpicklingError as error:
        raise refused(file, error) from None
    except Exception as error:  # damaged bytes can raise anything
        if "allocate memory" in str(error):
            raise short_of_memory(file) from None
        raise WudiError(f"{file}: not a sound pickle of tensors ({cause(error)}); fetch it again") from None


def short_of_memory(file: Path) -> WudiError:
    """The error for a file that cannot be loaded or mapped here."""
    size = file.stat().st_size / 1e9
    return WudiError(
        f"{file}: its {size:.2f} GB do not fit into memory, or it is damaged and asks for more; "
        "convert it on a machine with more memory"
    )


def is_stored(file: Path) -> bool:
    """Whether every part of a zip file lies there as it is, so that it can be memory-mapped; torch never compresses."""
    with zipfile.ZipFile(file) as archive:
        return all(part.compress_type == zipfile.ZIP_STORED for part in archive.infolist())


def refused(file: Path, error: pickle.UnpicklingError) -> WudiError:
    """The error for a pickle with more in it than tensors and plain containers."""
    wanted = re.search(r"GLOBAL (\S+)", str(error))
    if wanted is None:
        return WudiError(
            f"{file}: not a pickle that can be read without running code ({cause(error)}); nothing in it was run. "
            "Fetch it again, or take the model as safetensors"
        )
    return WudiError(
        f"{file}: is a pickle that calls for {wanted[1]}, which weights have no need of and which could run any code; "
        "nothing in it was run. Take the model as safetensors or from another source; if it is your own, save its "
        "state dict alone: torch.save(model.state_dict(), FILE)"
    )


def cause(error: Exception) -> str:
    """The line of torch's message that tells what is wrong, without its advice to run the file after all."""
    lines = str(error).split("WeightsUnpickler error:")[-1].strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
