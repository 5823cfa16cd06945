"""Write a safetensors file piece by piece, so that no more than one is held in memory.

The format (https://github.com/huggingface/safetensors): eight bytes with the header's length, a JSON header, then the
tensors' bytes one after another. Sizes are known before the first tensor is computed, so the header comes first.
"""

import hashlib
import json
import os
import struct
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self
from uuid import uuid4

import torch
from torch import Tensor

from wudi.tensor_info import TensorInfo

NAMES = {torch.float64: "F64", torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
UNSYNCED = 1 << 26
"""Bytes after which the disk is asked to keep up, so that the last wait is a short one."""


class SafetensorsWriter:
    """A file that appears under its name only once every byte of it is on the disk.

    It is given the entries of the tensors in the order of `infos`, whole tensors or parts of them. `sha256` is that of
    the file when it is closed.
    """

    def __init__(self, path: Path, infos: Mapping[str, TensorInfo], metadata: Mapping[str, str]) -> None:
        self.path = path
        self.size = sum(info.bytes for info in infos.values())
        self.sha256 = ""
        self._head = header(infos, metadata)
        self._digest = hashlib.sha256()
        # Two machines write the same file where one is given up as lost too early.
        self._half_written = path.with_name(f"{path.name}.{uuid4().hex}.tmp")
        self._written = self._unsynced = 0
        self._syncing: Future[None] | None = None

    def __enter__(self) -> Self:
        self._stream = self._half_written.open("wb", buffering=0)
        self._disk = ThreadPoolExecutor(1)
        self._put(memoryview(self._head))
        self._written = 0
        return self

    def write(self, entries: Tensor) -> None:
        """Append the bytes of a tensor, or of some entries of one."""
        self._put(entries.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)

    def _put(self, data: memoryview) -> None:
        self._digest.update(data)
        for first in range(0, len(data), UNSYNCED):  # Linux writes at most 2 GB at a time
            part = data[first : first + UNSYNCED]
            while part:
                part = part[self._stream.write(part) :]
        self._written += len(data)
        self._unsynced += len(data)
        if self._unsynced >= UNSYNCED and (self._syncing is None or self._syncing.done()):
            if self._syncing is not None:
                self._syncing.result()  # Linux tells once alone of bytes that it lost
            self._unsynced = 0
            self._syncing = self._disk.submit(os.fdatasync, self._stream.fileno())

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._disk.shutdown(wait=True)
        with self._stream:
            if kind is not None:
                return
            assert self._written == self.size, f"{self.path}: got {self._written} bytes of {self.size}"
            if self._syncing is not None:
                self._syncing.result()  # tells of a disk that failed meanwhile
            os.fsync(self._stream.fileno())
        self.sha256 = self._digest.hexdigest()
        self._half_written.replace(self.path)


def write_safetensors(
    path: Path, infos: Mapping[str, TensorInfo], tensors: Iterable[tuple[str, Tensor]], metadata: Mapping[str, str]
) -> str:
    """Write `tensors`, which come in the order of `infos`, to `path`, whole or not at all; the SHA-256 of the file."""
    with SafetensorsWriter(path, infos, metadata) as writer:
        for (expected, info), (name, tensor) in zip(infos.items(), tensors, strict=True):
            assert name == expected and tuple(tensor.shape) == info.shape, f"{name} comes in the place of {expected}"
            writer.write(tensor)
    return writer.sha256


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
