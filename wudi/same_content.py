"""Whether two checkpoints hold the same bytes, found without reading them where a glance tells them apart."""

import filecmp
from pathlib import Path

from wudi.checkpoint import Checkpoint

GLANCE, GLANCES = 4096, 64
"""Bytes of a look, and looks into a file: fine-tuned weights differ from their base's nearly everywhere."""


def same_content(first: Checkpoint, second: Checkpoint) -> bool:
    """Whether the files of two checkpoints are equal, one by one; their names do not matter."""
    pairs = list(zip(first.paths.values(), second.paths.values(), strict=False))
    if len(first.paths) != len(second.paths) or any(a.stat().st_size != b.stat().st_size for a, b in pairs):
        return False
    if any(glances(a) != glances(b) for a, b in pairs):
        return False
    return all(a.samefile(b) or filecmp.cmp(a, b, shallow=False) for a, b in pairs)


def glances(file: Path) -> list[bytes]:
    """A few bytes here and there, the last ones too."""
    size, found = file.stat().st_size, []
    with file.open("rb") as stream:
        for number in range(GLANCES):
            stream.seek(max(size - GLANCE, 0) * number // (GLANCES - 1))
            found.append(stream.read(GLANCE))
    return found
