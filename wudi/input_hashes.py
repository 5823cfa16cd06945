"""The SHA-256 of every input file, from the bytes that a merge reads anyway.

A file is hashed from its beginning as far as the merge has come, by a thread that runs a little ahead of it and so also
reads ahead for it. What a finished shard was made of is known by a *mark* for each file: how far it was read, and the
hash up to there. A later run hashes its own inputs and compares the marks on the way.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any, Protocol, Self

from wudi.checkpoint import Checkpoint
from wudi.errors import WudiError

BUFFER = 1 << 22
Mark = tuple[int, str]
"""A position in a file, and the SHA-256 in hex of all that comes before it."""
Marks = dict[str, Mark]


@dataclass
class HashedFile:
    """A file and how far it has been hashed."""

    path: Path
    size: int
    position: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    stream: FileIO | None = None
    stopped: bool = False
    """Set by another thread where nobody waits for the hash any more."""

    def advance(self, position: int) -> Mark:
        """Hash on up to a position, unless that was passed already, and return the mark there.

        Raises:
            WudiError: The file ends before it, though it did not when the run began.
        """
        if self.position >= position:
            return self.mark()
        if self.stream is None:
            self.stream = FileIO(self.path)
        buffer = memoryview(bytearray(BUFFER))
        while self.position < position and not self.stopped:
            read = self.stream.readinto(buffer[: min(BUFFER, position - self.position)]) or 0
            if not read:
                raise WudiError(f"{self.path}: became shorter while it was read; merge again when it is whole")
            self.digest.update(buffer[:read])
            self.position += read
        return self.mark()

    def mark(self) -> Mark:
        """How far the file has been hashed, and to what."""
        return self.position, self.digest.copy().hexdigest()


class ReadHashes(Protocol):
    """What is asked of the hashes of input files while these are read."""

    def cover(self, shard: str, tensors: Sequence[tuple[str, str]]) -> None:
        """Begin to hash each file up to the end of a shard's tensors, given as (label of the checkpoint, name)."""

    def marks(self, shard: str) -> Marks:
        """The marks of all files that a shard may be made of."""

    def finish(self) -> dict[str, dict[str, str]]:
        """The SHA-256 of every whole file, by checkpoint and file name."""


class Hashes(ReadHashes, Protocol):
    """What a merge asks of its input files' hashes."""

    def agree(self, recorded: Sequence[Marks]) -> list[bool]:
        """For the marks of each finished shard, whether this run's inputs are what it was made of."""


class InputHashes:
    """Hashes the files of named checkpoints in the background."""

    def __init__(self, checkpoints: Mapping[str, Checkpoint]) -> None:
        self.checkpoints = checkpoints
        self.files = {
            f"{label}/{name}": HashedFile(path, path.stat().st_size)
            for label, checkpoint in checkpoints.items()
            for name, path in checkpoint.paths.items()
        }
        # One thread a checkpoint: a file's bytes are hashed one after another.
        count = min(len(checkpoints), os.cpu_count() or 1)
        self._pools = [ThreadPoolExecutor(1) for _ in range(count)]
        self._pool_of = {label: self._pools[index % count] for index, label in enumerate(checkpoints)}
        self._marks: dict[str, dict[str, Future[Mark]]] = {}
        self._finished = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self.files.values():
            file.stopped = True
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)
        for file in self.files.values():
            if file.stream is not None:
                file.stream.close()

    def cover(self, shard: str, tensors: Sequence[tuple[str, str]]) -> None:
        """Begin to hash each file up to the end of a shard's tensors, given as (label of the checkpoint, name)."""
        for label, tensor in tensors:
            checkpoint = self.checkpoints[label]
            name = checkpoint.file_of[tensor]
            end = checkpoint.headers[name].places[tensor].end
            self._marks.setdefault(shard, {})[f"{label}/{name}"] = self._advance(label, name, end)

    def _advance(self, label: str, name: str, position: int) -> Future[Mark]:
        return self._pool_of[label].submit(self.files[f"{label}/{name}"].advance, position)

    def marks(self, shard: str) -> Marks:
        """The marks of the files that a shard is made of, once they are hashed so far; of all if all were read."""
        if self._finished:
            return {key: file.mark() for key, file in self.files.items()}
        return {key: mark.result() for key, mark in self._marks.pop(shard, {}).items()}

    def agree(self, recorded: Sequence[Marks]) -> list[bool]:
        """For the marks of each finished shard, whether this run's inputs are what it was made of."""
        wanted = sorted({(key, position) for marks in recorded for key, (position, _) in marks.items()})
        found = {}
        for key, position in wanted:
            file = self.files.get(key)
            if file is not None and position <= file.size:
                pool = self._pool_of[key.rpartition("/")[0]]
                found[key, position] = pool.submit(file.advance, position)
        digests = {place: pending.result()[1] for place, pending in found.items()}
        return [
            all(digests.get((key, position)) == digest for key, (position, digest) in marks.items())
            for marks in recorded
        ]

    def finish(self) -> dict[str, dict[str, str]]:
        """The SHA-256 of every whole file, by checkpoint and file name."""
        whole = {
            label: {name: self._advance(label, name, self.files[f"{label}/{name}"].size) for name in checkpoint.paths}
            for label, checkpoint in self.checkpoints.items()
        }
        found = {label: {name: mark.result()[1] for name, mark in marks.items()} for label, marks in whole.items()}
        self._finished = True
        return found
