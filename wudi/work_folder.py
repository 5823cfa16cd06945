"""A folder that appears under its name only when it is complete, and is filled in steps that outlive a crash."""

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from wudi.errors import WudiError
from wudi.hashes import file_sha256

PLAN = "plan.json"
OURS = ("merge.json", "summary.json")
"""What marks a finished folder as this project's, which --overwrite may replace."""


class WorkFolder:
    """`OUT.partial` beside `OUT`, renamed to it by `finish`.

    It keeps the plan of what is being made. Work that an interrupted run left is taken over when its plan is equal to
    this run's (recipe, hashes of all inputs, dtype, ...) and is thrown away when it is not; that a file exists says
    nothing. No two processes work in it at once. `inputs` and what no merge has written are never replaced.
    """

    def __init__(self, out: Path, plan: dict[str, Any], *, inputs: Sequence[Path], overwrite: bool = False) -> None:
        self.out = out.absolute()
        if not self.out.name:
            raise WudiError(f"{self.out}: is the root of a disk; name a folder in it")
        self.path = self.out.with_name(self.out.name + ".partial")
        self._replaced = self.out.with_name(self.out.name + ".replaced.partial")
        self._inputs, self._overwrite = inputs, overwrite
        if self._is_finished():
            self._tidy()
        self.refuse_to_harm(inputs, overwrite=overwrite)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = lock(self.path)
            try:
                self._take_over(json.dumps(plan, indent=1, sort_keys=True))
            except BaseException:
                os.close(self._lock)
                raise
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            raise WudiError(f"{out}: cannot be written ({error.strerror}); name another folder") from None

    def _take_over(self, plan: str) -> None:
        """Keep what an earlier run with this plan has finished, and nothing of any other."""
        same = (self.path / PLAN).is_file() and (self.path / PLAN).read_bytes() == plan.encode()
        # Killed in here, the folder must still be known as ours: the plan goes last and comes first.
        others = [left for left in self.path.iterdir() if left.name != PLAN]
        if any(left.name != f"{PLAN}.tmp" for left in others) and not (self.path / PLAN).exists():
            raise WudiError(f"{self.path}: is not of this program's making; remove it or name another folder")
        names = {left.name for left in others if same}
        # Finished is what has a note beside it; all else is written again, as copied files may have changed.
        finished = {name for name in names if f"{name}.json" in names}
        for left in others:
            if left.name not in finished and left.name.removesuffix(".json") not in finished:
                left.unlink()
        if not same:
            self.write_text(PLAN, plan)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def refuse_to_harm(self, inputs: Sequence[Path], *, overwrite: bool) -> None:
        """Raise a `WudiError` rather than replace an input, or anything that no merge has written."""
        target = self.out.resolve()
        for source in inputs:
            if source.resolve().is_relative_to(target):
                raise WudiError(f"{self.out}: is or holds the input {source}; name another folder")
        if not (self.out.exists() or self.out.is_symlink()):
            return
        if not overwrite:
            raise WudiError(f"{self.out}: exists already; remove it, name another folder, or add --overwrite")
        if self.out.is_symlink() or not self.out.is_dir():
            raise WudiError(f"{self.out}: is no folder; remove it or name another")
        if any(self.out.iterdir()) and not any((self.out / name).is_file() for name in OURS):
            raise WudiError(f"{self.out}: was not written by a merge; remove it yourself or name another folder")

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

    def hashes(self, leaving_out: Sequence[str]) -> dict[str, str]:
        """The SHA-256 of every file but the plan and those to leave out."""
        unwanted = {PLAN, *leaving_out}
        files = [file for file in sorted(self.path.iterdir()) if file.suffix != ".tmp"]
        return {file.name: file_sha256(file) for file in files if file.name not in unwanted}

    def finish(self, scaffolding: list[str]) -> None:
        """Drop the `scaffolding` and give the folder its name; the plan goes last, as it marks the folder as ours.

        Raises:
            WudiError: Something has come to lie under that name meanwhile; the work is kept.
        """
        self.refuse_to_harm(self._inputs, overwrite=self._overwrite)
        for left in [*(self.path / name for name in scaffolding), *self.path.glob("*.tmp")]:
            left.unlink(missing_ok=True)
        for file in self.path.iterdir():
            sync(file)
        sync(self.path)
        if self.out.exists():
            shutil.rmtree(self._replaced, ignore_errors=True)
            self.out.rename(self._replaced)
        self.path.rename(self.out)
        sync(self.out.parent)
        self._tidy()

    def _is_finished(self) -> bool:
        """Whether an earlier run was killed when all was done but to tidy."""
        return (self.out / PLAN).is_file() and any((self.out / name).is_file() for name in OURS)

    def _tidy(self) -> None:
        """Drop what the folder replaced, then its plan, which tells that there is something to tidy."""
        shutil.rmtree(self._replaced, ignore_errors=True)
        (self.out / PLAN).unlink(missing_ok=True)


def lock(folder: Path) -> int:
    """Lock a folder for as long as this process works in it, and return its descriptor."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise WudiError(f"{folder}: another process is writing there; wait for it or name another folder") from None
    return descriptor


def sync(path: Path) -> None:
    """Make a file's content, or the renames within a folder, outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
