"""Whether the disk has room for what will be written."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from wudi.errors import WudiError


def check_disk(folder: Path, needed: int) -> None:
    """Raise a `WudiError` unless the disk of `folder`, or of its nearest parent that exists, has `needed` bytes."""
    for text in lacking_room({folder: needed}):
        raise WudiError(text)


def lacking_room(outputs: Mapping[Path, int]) -> list[str]:
    """What does not fit: folders that will be written, with their bytes, summed up for each disk."""
    disks: dict[int, list[Path]] = {}
    for folder in outputs:
        disks.setdefault(existing(folder).stat().st_dev, []).append(folder)
    texts = []
    for folders in disks.values():
        needed, free = sum(outputs[folder] for folder in folders), shutil.disk_usage(existing(folders[0])).free
        if free < needed:
            texts.append(
                f"{', '.join(map(str, folders))}: needs {needed / 1e9:.2f} GB, but the disk has {free / 1e9:.2f} GB "
                "free; free some space or write elsewhere"
            )
    return texts


def existing(folder: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    return next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
