"""Prove a finished merge, and the inputs that are at hand, against the hashes in its merge.json."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from wudi.checkpoint import Checkpoint
from wudi.errors import WudiError
from wudi.hashes import file_sha256
from wudi.progress import Track, silent
from wudi.workers import Workers, cores

RECORD = "merge.json"
PARTS = ("base", "experts", "outputs", "files")
Hashes = Mapping[str, str]
"""The SHA-256 of files, by name."""


@dataclass(frozen=True)
class Group:
    """Files that belong together, where they lie, and the hashes that they had when the merge was made."""

    title: str
    paths: Mapping[str, Path]
    expected: Hashes


@dataclass(frozen=True)
class Verified:
    """How many files each group has, and in a line each what is not as merge.json says."""

    counts: Mapping[str, int]
    differences: Sequence[str]

    @property
    def files(self) -> int:
        """The number of files that were compared."""
        return sum(self.counts.values())


def verify(
    folder: Path, *, base: Path | None = None, experts: Mapping[str, Path] | None = None, track: Track = silent
) -> Verified:
    """Compare every file of a merged model with its merge.json, and the inputs that are given.

    Files are hashed side by side. Every file in the folder must be named there, but for hidden ones, which tools leave.

    Raises:
        WudiError: `folder` has no merge.json, it is damaged, or it names no such expert.
    """
    record = read_record(folder)
    groups = [group(title, folder, record[part]) for title, part in (("weights", "outputs"), ("other files", "files"))]
    groups += input_groups(folder, record, base, experts or {})
    differences = [*compared(groups, track), *foreign(folder, record)]
    differences = differences or list(disagreements(folder, record))
    return Verified({group.title: len(group.expected) for group in groups}, differences)


def read_record(folder: Path) -> dict[str, Any]:
    """The content of a merge's merge.json.

    Raises:
        WudiError: There is none, or it is not what a merge writes.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WudiError(f"{folder}: has no {RECORD}; takes the folder of a finished merge") from None
    except (OSError, ValueError) as error:
        raise WudiError(f"{folder / RECORD}: cannot be read ({error}); merge again") from None
    parts = [record.get(part) for part in PARTS] if isinstance(record, dict) else []
    experts = parts[1].values() if parts and isinstance(parts[1], dict) else [None]
    if not parts or not all(map(are_hashes, [parts[0], *parts[2:], *experts])):
        raise WudiError(f"{folder / RECORD}: lacks the hashes of {', '.join(PARTS)}, or some are damaged; merge again")
    return record


def are_hashes(value: Any) -> bool:
    """Whether this maps names of files in a folder to texts."""
    return isinstance(value, dict) and all(
        Path(name).name == name and isinstance(digest, str) for name, digest in value.items()
    )


def input_groups(
    folder: Path, record: Mapping[str, Any], base: Path | None, experts: Mapping[str, Path]
) -> list[Group]:
    """The inputs that are given, each with the hashes that the merge has seen.

    Raises:
        WudiError: The merge has no such expert.
    """
    unknown = [name for name in experts if name not in record["experts"]]
    if unknown:
        known = ", ".join(record["experts"])
        raise WudiError(f"{folder / RECORD}: got expert {unknown[0]!r}; the merge has {known}")
    found = [group("base", base, record["base"])] if base is not None else []
    return found + [group(f"expert {name}", path, record["experts"][name]) for name, path in experts.items()]


def group(title: str, place: Path, expected: Hashes) -> Group:
    """Files of a folder, or the one file that stands in the place of a folder and may have been renamed."""
    alone = len(expected) == 1 and place.is_file()
    return Group(title, {name: place if alone else place / name for name in expected}, expected)


def compared(groups: Sequence[Group], track: Track) -> list[str]:
    """A line for each file that is missing or has another hash."""
    entries = [(each.title, each.paths[name], digest) for each in groups for name, digest in each.expected.items()]

    def hashed(entry: tuple[str, Path, str], _: torch.device) -> str | None:
        return file_sha256(entry[1]) if entry[1].is_file() else None

    devices = [torch.device("cpu")] * cores()
    with Workers[tuple[str, Path, str]](devices, torch.get_num_threads()) as workers:
        found = list(zip(track(entries, "hashing"), workers.map(hashed, entries), strict=True))
    return [
        f"{title}: {path}: {'is missing' if digest is None else f'has SHA-256 {digest}'}, {RECORD} says {expected}"
        for (title, path, expected), digest in found
        if digest != expected
    ]


def foreign(folder: Path, record: Mapping[str, Any]) -> Iterator[str]:
    """A line for each file that the merge has not written."""
    named = {RECORD, *record["outputs"], *record["files"]}
    for file in sorted(folder.iterdir()):
        if file.name not in named and file.is_file() and not file.name.startswith("."):
            yield f"other files: {file}: has SHA-256 {file_sha256(file)}, {RECORD} does not name it"


def disagreements(folder: Path, record: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a model whose files are as they were: its index, a header, or what merge.json names."""
    try:
        shards = set(Checkpoint(folder).shards)
    except WudiError as error:
        yield str(error)
        return
    for name in sorted(shards ^ set(record["outputs"])):
        yield f"weights: {folder / name}: is named by {'the model' if name in shards else RECORD} alone"
