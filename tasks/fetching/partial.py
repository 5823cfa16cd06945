"""The folder NAME.partial: what an interrupted fetch left, and from where, so that the next one goes on there."""

import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path

from tasks.fetching.provenance import Stored, stored, write_json

RECORD = ".fetching.json"


class Partial:
    """A folder that fills with the files of one origin; what another origin left there is removed first."""

    def __init__(self, folder: Path, origin: Mapping[str, object]) -> None:
        self.folder = folder
        self.origin = dict(origin)
        record = read_record(folder / RECORD)
        self._files: dict[str, dict[str, object]] = record.get("files", {})
        self._sure: dict[str, Stored] = {}
        if record.get("origin") != self.origin:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self._files = {}
            self._write()

    def kept(self, name: str, version: str) -> Stored | None:
        """A file that was noted in this version, if its bytes are still those."""
        file = self.folder / name
        noted = self._files.get(name)
        if noted is None or noted.get("version") != version or not file.is_file():
            return None
        if name not in self._sure:
            found = stored(file)
            if {"version": version, **asdict(found)} != noted:
                return None
            self._sure[name] = found
        return self._sure[name]

    def note(self, name: str, version: str, content: Stored) -> None:
        """Remember that a file is complete."""
        self._sure[name] = content
        self._files[name] = {"version": version, **asdict(content)}
        self._write()

    def close(self, names: Collection[str]) -> None:
        """Remove everything but the fetched files."""
        for entry in self.folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name not in names:
                entry.unlink()

    def _write(self) -> None:
        write_json(self.folder / RECORD, {"origin": self.origin, "files": self._files})


def read_record(file: Path) -> dict[str, dict[str, dict[str, object]]]:
    """What an interrupted fetch wrote down; empty where there is nothing sound."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
