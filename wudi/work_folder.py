"""A folder that appears under its name only when it is complete, and is filled in steps that outlive a crash."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from wudi.errors import WudiError

PLAN = "plan.json"


class WorkFolder:
    """`OUT.partial` beside `OUT`, renamed to it by `finish`.

    It keeps the plan of what is being made. Work that an interrupted run left is taken over when its plan is equal to
    this run's (recipe, hashes of all inputs, dtype, ...) and is thrown away when it is not; that a file exists says
    nothing.
    """

    def __init__(self, out: Path, plan: dict[str, Any], *, overwrite: bool = False) -> None:
        if out.exists() and not overwrite:
            raise WudiError(f"{out}: exists already; remove it, name another folder, or add --overwrite")
        self.out = out
        self.path = out.with_name(out.name + ".partial")
        text = json.dumps(plan, indent=1, sort_keys=True)
        if not (self.path / PLAN).is_file() or (self.path / PLAN).read_text(encoding="utf-8") != text:
            shutil.rmtree(self.path, ignore_errors=True)
            self.path.mkdir(parents=True)
            self.write_text(PLAN, text)

    def write_text(self, name: str, text: str) -> None:
        """Write a file whole or not at all."""
        half_written = self.path / f"{name}.tmp"
        with half_written.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        half_written.replace(self.path / name)

    def write_json(self, name: str, content: Any) -> None:
        """Write JSON, with sorted keys so that equal content gives equal bytes."""
        self.write_text(name, json.dumps(content, indent=1, sort_keys=True) + "\n")

    def read_json(self, name: str) -> Any | None:
        """The content of a file of an earlier, interrupted run; None where it was not reached."""
        file = self.path / name
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None

    def finish(self, scaffolding: list[str]) -> None:
        """Drop the plan and other `scaffolding`, and give the folder its name."""
        for name in [PLAN, *scaffolding]:
            (self.path / name).unlink(missing_ok=True)
        sync_folder(self.path)
        if self.out.exists():
            shutil.rmtree(self.out)
        self.path.rename(self.out)
        sync_folder(self.out.parent)


def sync_folder(folder: Path) -> None:
    """Make renames within a folder outlive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
