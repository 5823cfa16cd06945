"""What was fetched: `source.json` names the source and each file with its size and hash."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

PROVENANCE = "source.json"
THREADS = 4
"""Hashing leaves the interpreter free, so that threads run side by side."""


@dataclass(frozen=True)
class Stored:
    """A file as it lies on the disk."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Fetched:
    """What a source gave: how to find it again, and the files, where they were fetched and not made here."""

    origin: Mapping[str, object]
    files: Mapping[str, Stored] = field(default_factory=dict)


def stored(file: Path) -> Stored:
    """The size and the hash of a file, whose bytes are on the disk when they are known."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        os.fsync(stream.fileno())
        return Stored(stream.tell(), digest)


def stored_all(files: Iterable[Path]) -> dict[str, Stored]:
    """Sizes and hashes by file name; several files are read at once."""
    files = list(files)
    with ThreadPoolExecutor(THREADS) as pool:
        return {file.name: content for file, content in zip(files, pool.map(stored, files), strict=True)}


def write_provenance(folder: Path, source: str, fetched: Fetched) -> None:
    """Write `source.json` into a fetched folder."""
    record: dict[str, object] = {"source": source, **fetched.origin}
    if fetched.files:
        record["files"] = {name: asdict(content) for name, content in fetched.files.items()}
    write_json(folder / PROVENANCE, record)


def write_json(file: Path, content: Mapping[str, object]) -> None:
    """Write a JSON file whole or not at all."""
    half_written = file.with_name(file.name + ".tmp")
    with half_written.open("w", encoding="utf-8") as stream:
        stream.write(json.dumps(content, indent=1, sort_keys=True) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    half_written.replace(file)
