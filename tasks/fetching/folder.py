"""A checkpoint in a folder of this machine."""

import errno
import os
import shlex
import shutil
from pathlib import Path

from tasks.fetching.attempts import Damaged
from tasks.fetching.choice import Listing, choose
from tasks.fetching.copying import Entry, copy_all
from tasks.fetching.partial import Partial
from tasks.fetching.provenance import Fetched
from wudi.errors import WudiError


def local_folder(source: str) -> Path | None:
    """The folder that a source names; None if it names something else."""
    path = source.removeprefix("file://")
    if not path.startswith((".", "/", "~")):
        return None
    return Path(os.path.expanduser(path))  # noqa: PTH111 — leaves an unknown ~user as it is


def fetch_folder(source: Path, folder: Path) -> Fetched:
    """Copy what is wanted of a model's or an adapter's folder; links are followed.

    Raises:
        WudiError: There is no such folder, it holds no checkpoint, or a file of it cannot be read.
    """
    if not source.is_dir():
        raise WudiError(f"{source}: no such folder; check `source` in params.yaml")
    try:
        entries = [entry(source / name) for name in wanted(source)]
        partial = Partial(folder, {"source": str(source.resolve())})
        files = copy_all(entries, partial, lambda name, to: copy(source / name, to), f"copying {source.name}")
    except Damaged as damage:
        raise WudiError(f"{source}: {damage}: it changes meanwhile; wait until it is complete") from None
    partial.close(files)
    return Fetched({}, files)


def wanted(source: Path) -> list[str]:
    """The names of the files to copy; a broken link is told of where it is one of them."""
    sizes = {file.name: 0 for file in source.iterdir() if not file.is_dir()}
    mend = f"convert it with `wudi convert {shlex.quote(str(source))} --out NEW` and name NEW as the source"
    return choose(Listing(str(source), sizes, lambda name: (source / name).read_text(encoding="utf-8")), mend)


def entry(file: Path) -> Entry:
    """A file as it is now."""
    try:
        status = file.stat()
    except OSError as error:
        raise unreadable(file, error) from None
    return Entry(file.name, status.st_size, f"{status.st_mtime_ns} {status.st_ino}")


def copy(file: Path, target: Path) -> None:
    """Copy a file's bytes, and not its permissions."""
    try:
        shutil.copyfile(file, target)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise unreadable(file, error) from None


def unreadable(file: Path, error: OSError) -> WudiError:
    """The error for a file that is listed and cannot be read."""
    if file.is_symlink() and not file.exists():
        return WudiError(f"{file}: is a link to {file.readlink()}, which is not there; mend the link or fetch it again")
    return WudiError(f"{file}: cannot be read ({error.strerror or error}); check its permissions")
