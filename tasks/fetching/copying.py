"""Copying file by file: each appears under its name when it is whole, and stays for the next run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.fetching.attempts import Damaged
from tasks.fetching.growth import growth
from tasks.fetching.partial import Partial
from tasks.fetching.provenance import Stored, stored
from wudi.preflight.disk import check_disk


@dataclass(frozen=True)
class Entry:
    """A file of a listing."""

    name: str
    size: int
    version: str
    """Another text when the file is another, so that an interrupted copy does not mix the two."""


def copy_all(
    entries: Sequence[Entry], partial: Partial, copy: Callable[[str, Path], None], description: str
) -> dict[str, Stored]:
    """Bring all entries into the partial folder with `copy(name, target)`, those that an earlier run left excepted.

    Raises:
        WudiError: The disk has no room for what is missing.
    """
    found = {entry.name: partial.kept(entry.name, entry.version) for entry in entries}
    missing = [entry for entry in entries if found[entry.name] is None]
    check_disk(partial.folder, sum(entry.size for entry in missing))
    with growth(partial.folder, description, sum(entry.size for entry in entries)):
        copied = {entry.name: copy_one(entry, partial, copy) for entry in missing}
    return copied | {name: content for name, content in found.items() if content is not None}


def copy_one(entry: Entry, partial: Partial, copy: Callable[[str, Path], None]) -> Stored:
    """Copy one file under another name, check it, and give it its own."""
    target = partial.folder / entry.name
    half_written = target.with_name(f".{entry.name}.tmp")
    copy(entry.name, half_written)
    content = stored(half_written)
    if content.size != entry.size:
        half_written.unlink()
        raise Damaged(f"{entry.name} came with {content.size} bytes, but {entry.size} are listed")
    half_written.replace(target)
    partial.note(entry.name, entry.version, content)
    return content
