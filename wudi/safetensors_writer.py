"""Write a safetensors file tensor by tensor, so that no more than one is held in memory.

The format (https://github.com/huggingface/safetensors): eight bytes with the header's length, a JSON header, then the
tensors' bytes one after another. Sizes are known before the first tensor is computed, so the header comes first.
"""

import json
import os
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from wudi.checkpoint import TensorInfo

NAMES = {torch.float64: "F64", torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}


def write_safetensors(
    path: Path, infos: Mapping[str, TensorInfo], tensors: Iterable[tuple[str, Tensor]], metadata: Mapping[str, str]
) -> None:
    """Write `tensors`, which come in the order of `infos`, to `path`: whole or not at all.

    The file appears under its name only once every byte of it is on the disk.
    """
    half_written = path.with_name(path.name + ".tmp")
    with half_written.open("wb") as stream:
        stream.write(header(infos, metadata))
        for (expected, info), (name, tensor) in zip(infos.items(), tensors, strict=True):
            assert name == expected and tuple(tensor.shape) == info.shape, f"{name} comes in the place of {expected}"
            stream.write(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        stream.flush()
        os.fsync(stream.fileno())
    half_written.replace(path)


def header(infos: Mapping[str, TensorInfo], metadata: Mapping[str, str]) -> bytes:
    """The length and the JSON header, padded with spaces to a multiple of eight bytes."""
    entries: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    offset = 0
    for name, info in infos.items():
        entries[name] = {"dtype": info.dtype, "shape": list(info.shape), "data_offsets": [offset, offset + info.bytes]}
        offset += info.bytes
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text
