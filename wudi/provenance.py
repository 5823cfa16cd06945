"""Where a checkpoint came from, as the file `source.json` in its folder says that fetching it has left."""

import re
from dataclasses import dataclass
from pathlib import Path

from wudi.errors import WudiError
from wudi.folder import LocalFolder, read_json
from wudi.work_folder import WorkFolder

FILE = "source.json"
PASSWORD = re.compile(r"(?<=://)[^/@:]*:[^/@]*@")
"""What a URL has before its host (sftp://me:secret@host): nothing to publish."""


@dataclass(frozen=True)
class Provenance:
    """A source and, on the Hub, the commit."""

    source: str
    commit: str | None = None

    def __str__(self) -> str:
        return f"{self.source}@{self.commit}" if self.commit else self.source

    @property
    def is_hub_id(self) -> bool:
        """Whether it names a repository of the Hub."""
        return self.commit is not None and re.fullmatch(r"[\w.-]+/[\w.-]+", self.source) is not None


def provenance(folder: Path | None) -> Provenance | None:
    """Where the checkpoint in a folder came from; None where nothing says so."""
    if folder is None or not (folder / FILE).is_file():
        return None
    try:
        record = read_json(LocalFolder(folder), FILE)
    except WudiError:  # some other program's
        return None
    source, commit = record.get("source"), record.get("commit")
    if not isinstance(source, str):
        return None
    return Provenance(PASSWORD.sub("", source), commit if isinstance(commit, str) else None)


def copy_provenance(source: Path | None, target: WorkFolder) -> None:
    """Say of what is made from a checkpoint where that came from."""
    if source is not None and (source / FILE).is_file():
        target.write_text(FILE, (source / FILE).read_text(encoding="utf-8"))
