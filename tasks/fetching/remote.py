"""A checkpoint at a URL that fsspec can list: `s3://bucket/path`, `gs://bucket/path`, ..."""

import hashlib
from pathlib import Path
from typing import Any

import fsspec
from fsspec.registry import known_implementations

from tasks.fetching.attempts import first_line, persistently
from tasks.fetching.choice import Listing, choose
from tasks.fetching.copying import Entry, copy_all
from tasks.fetching.partial import Partial
from tasks.fetching.provenance import Fetched
from wudi.errors import WudiError

MEND = "copy it into a folder, convert that with `wudi convert FOLDER --out NEW` and name NEW as the source"


def fetch_remote(source: str, folder: Path) -> Fetched:
    """Copy what is wanted of the checkpoint at a URL; files that an interrupted run completed are kept.

    Raises:
        WudiError: A package is missing, there is no such place, it refuses, it holds no checkpoint, or it did not
            answer often enough.
    """
    files, path = opened(source)

    def refusal(error: Exception) -> WudiError | None:
        return refused(source, error)

    def copy(name: str, target: Path) -> None:
        files.get_file(f"{path}/{name}", str(target))

    def text(name: str) -> str:
        content: bytes = persistently(source, lambda: files.cat_file(f"{path}/{name}"), refusal)
        return content.decode("utf-8")

    listed = persistently(source, lambda: listing(files, path), refusal)
    sizes = {name: entry.size for name, entry in listed.items()}
    wanted = [listed[name] for name in choose(Listing(source, sizes, text), MEND)]
    partial = Partial(folder, {"source": source})
    found = persistently(source, lambda: copy_all(wanted, partial, copy, f"copying {source}"), refusal)
    partial.close(found)
    return Fetched({}, found)


def opened(source: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    protocol = source.partition("://")[0]
    try:
        files, path = fsspec.url_to_fs(source)
    except ImportError as error:
        raise WudiError(f"{source}: {install(protocol, error)}") from None
    except ValueError as error:
        raise WudiError(f"{source}: {first_line(error)}; check `source` in params.yaml") from None
    return files, path.rstrip("/")


def install(protocol: str, error: ImportError) -> str:
    """How to get what a protocol needs."""
    if protocol in ("s3", "s3a"):
        return "a package is missing to read S3; install it with `pip install 'wudi[s3]'`"
    package = known_implementations[protocol]["class"].partition(".")[0]
    if package == "fsspec":
        return f"a package is missing to read it ({first_line(error)}); install it with pip"
    return f"a package is missing to read it; install it with `pip install {package}`"


def listing(files: Any, path: str) -> dict[str, Entry]:
    """The files at a path by name; what a store says of each (its ETag, its time) tells versions apart."""
    files.invalidate_cache()
    found = files.ls(path, detail=True)
    entries = [info for info in found if info["type"] == "file" and info["name"].rstrip("/") != path.rstrip("/")]
    names = [info["name"].rpartition("/")[2] for info in entries]
    return {
        name: Entry(name, int(info["size"] or 0), hashlib.sha256(str(sorted(info.items())).encode()).hexdigest())
        for name, info in zip(names, entries, strict=True)
        if name
    }


def refused(source: str, error: Exception) -> WudiError | None:
    """The error for what no waiting mends."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return WudiError(f"{source}: nothing is there; check `source` in params.yaml")
    # The stores' own errors about missing credentials have no class in common.
    if isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
        return WudiError(f"{source}: access is refused ({first_line(error)}); check the credentials of the store")
    if isinstance(error, NotImplementedError):
        return WudiError(
            f"{source}: it cannot be listed; copy the checkpoint into a folder and name that as the source"
        )
    return None
