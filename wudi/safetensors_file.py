"""Read a safetensors file: its header, checked whole before a tensor is looked at, and its tensors, memory-mapped.

The format (https://github.com/huggingface/safetensors): eight bytes with the header's length, a JSON header, then the
tensors' bytes, one after another without holes. The library reads whole tensors; a merge reads slices of them, hashes
bytes as it passes them, gives pages back, and reads headers over a network: so the offsets are needed.
"""

import json
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wudi.tensor_info import BITS, TensorInfo

LONGEST_HEADER = 100_000_000
"""What the library takes at most, too."""
LENGTH = 8
TORCH = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
}
RESERVE_NO_SWAP = getattr(mmap, "MAP_NORESERVE", 0x4000 if hasattr(mmap, "MADV_DONTNEED") else 0)
"""Without it Linux refuses to map a file that is larger than the memory; Python 3.11 has no name for it."""


class DamagedFile(ValueError):
    """Why a file is no safetensors file."""


@dataclass(frozen=True)
class Place:
    """A tensor and where its bytes lie in the file: from `begin` to before `end`."""

    info: TensorInfo
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """What stands at the head of a file: its tensors in the order of their bytes, and its metadata."""

    places: Mapping[str, Place]
    metadata: Mapping[str, str]
    bytes: int
    """The header's own size, with the eight bytes of its length."""


class SafetensorsFile:
    """A file whose tensors are read when they are asked for.

    Raises:
        DamagedFile: The header is damaged, or does not describe the bytes that follow it.
        OSError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as stream:
            self.size = path.stat().st_size
            self.header = parse(stream.read(header_size(stream.read(LENGTH), self.size)), self.size)
            # Private: what someone writes into a tensor never reaches the file.
            protection, flags = mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | RESERVE_NO_SWAP
            self._map = mmap.mmap(stream.fileno(), 0, flags=flags, prot=protection)

    def tensor(self, name: str) -> Tensor:
        """The tensor of this name, in its own dtype; its memory is the file's."""
        info = self.header.places[name].info
        return self.entries(name, 0, info.elements).view(info.shape)

    def entries(self, name: str, first: int, last: int) -> Tensor:
        """The entries from `first` to before `last` of a tensor, in the order of the file, shape (n,)."""
        place = self.header.places[name]
        dtype = TORCH[place.info.dtype]
        if first == last:
            return torch.empty(0, dtype=dtype)
        begin = place.begin + first * dtype.itemsize
        if begin % dtype.itemsize:  # the format does not ask for alignment
            size = (last - first) * dtype.itemsize
            return torch.frombuffer(self._map, dtype=torch.uint8, count=size, offset=begin).clone().view(dtype)
        return torch.frombuffer(self._map, dtype=dtype, count=last - first, offset=begin)

    def let_go(self, name: str) -> None:
        """Give back the memory that a tensor's bytes have taken; they are read again if they are asked for again."""
        place = self.header.places[name]
        begin = place.begin - place.begin % mmap.PAGESIZE
        if place.end > place.begin and hasattr(mmap, "MADV_DONTNEED"):  # elsewhere than on Linux it may mean more
            self._map.madvise(mmap.MADV_DONTNEED, begin, place.end - begin)


def header_size(length: bytes, file_size: int) -> int:
    """How many bytes of JSON follow the first eight."""
    if len(length) < LENGTH:
        raise DamagedFile(f"has {len(length)} bytes; a header's length alone takes {LENGTH}")
    size = int.from_bytes(length, "little")
    if size > min(LONGEST_HEADER, file_size - LENGTH):
        raise DamagedFile(f"names a header of {size} bytes, but has {file_size - LENGTH} after its length")
    return size


def parse(text: bytes, file_size: int) -> Header:
    """Read the JSON of a header and check it against the file's size.

    Raises:
        DamagedFile: It is no header, or tensors overlap, leave holes, or take more or fewer bytes than there are.
    """
    content = parse_json(text)
    metadata = content.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise DamagedFile("has metadata that are no texts")
    start = LENGTH + len(text)
    places = [(name, place(name, entry, start)) for name, entry in content.items()]
    places.sort(key=lambda item: (item[1].begin, item[1].end))
    end = start
    for name, found in places:
        if found.begin != end:
            raise DamagedFile(f"tensor {name} begins at byte {found.begin}, where {end} is the next")
        end = found.end
    if end != file_size:
        raise DamagedFile(f"has {file_size} bytes, but its header describes {end}")
    return Header(dict(places), metadata, start)


def parse_json(text: bytes) -> dict[str, Any]:
    """The header's JSON object."""
    if not text.startswith(b"{"):
        raise DamagedFile("its header is no JSON object")
    try:
        content: dict[str, Any] = json.loads(
            text.decode("utf-8"), object_pairs_hook=without_repeats, parse_constant=refuse
        )
    except DamagedFile:
        raise
    except (ValueError, RecursionError) as error:
        raise DamagedFile(f"its header is no valid JSON ({error})") from None
    return content


def without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a key that comes twice would hide a tensor."""
    content = dict(pairs)
    if len(content) < len(pairs):
        raise DamagedFile("names a tensor twice")
    return content


def refuse(constant: str) -> None:
    """JSON has no infinity and no NaN, whatever Python reads."""
    raise DamagedFile(f"holds {constant}")


def place(name: str, entry: Any, start: int) -> Place:
    """One tensor of the header; `start` is where the data begin in the file."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise DamagedFile(f"tensor {name}: takes dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise DamagedFile(f"tensor {name}: its dtype is {str(dtype)[:40]!r}")
    if not are_sizes(shape) or not are_sizes(offsets) or len(offsets) != 2:
        raise DamagedFile(f"tensor {name}: its shape or offsets are no whole numbers of at least 0")
    begin, end = offsets
    if (end - begin) * 8 != prod(shape) * BITS[dtype]:
        raise DamagedFile(f"tensor {name}: {dtype} of shape {shape} does not fit into {end - begin} bytes")
    return Place(TensorInfo(dtype, tuple(shape)), start + begin, start + end)


def are_sizes(values: Any) -> bool:
    """Whether this is a list of whole numbers from 0 to what 64 bits hold."""
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)
