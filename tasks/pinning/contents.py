"""What folders and stores hold now, told from listings: they have no revisions that a stage would see move."""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tasks.fetching.attempts import persistently
from tasks.fetching.choice import Listing, choose
from tasks.fetching.folder import local_folder, unreadable, wanted
from tasks.params import Model, Params
from tasks.pinning.models import look_at, models_of
from wudi.errors import WudiError

File = tuple[str, int, str]
"""Name, size, and what changes with the content."""
MARKS = (
    "ETag", "etag", "md5Hash", "md5", "generation",
    "LastModified", "last_modified", "modificationTime", "mtime", "updated", "modified",
)  # fmt: skip
"""Under which key stores say that a file is another than before, the surest first."""


def fingerprints(params: Params, root: Path = Path()) -> dict[str, str]:
    """A SHA-256 for each model that comes from a folder or a store: another one when files that fetch takes change.

    Only listings are read, and indices. The Hub's models are told apart by commits, and the zoo's never change.

    Args:
        params: Of the project.
        root: The project's folder, where relative sources start.

    Raises:
        WudiError: Sources are not there, hold no checkpoint, refuse or do not answer: a line for each model.
    """
    models = {name: model for name, model in models_of(params).items() if has_listing(model)}
    return look_at(models, partial(fingerprint, root=root))


def has_listing(model: Model) -> bool:
    """Whether a model lies in a folder or a store."""
    return "://" in model.source or local_folder(model.source) is not None


def fingerprint(model: Model, root: Path) -> str:
    """A hash of the files of one model."""
    folder = local_folder(model.source)
    files = store_files(model.source) if folder is None else folder_files(root / folder)
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


def folder_files(folder: Path) -> list[File]:
    """The files of a folder that a fetch would copy.

    Raises:
        WudiError: There is no such folder, it holds no checkpoint, or a file of it cannot be read.
    """
    if not folder.is_dir():
        raise WudiError(f"{folder}: no such folder; check `source` in params.yaml")
    return [folder_file(folder / name) for name in wanted(folder)]


def folder_file(file: Path) -> File:
    """A file as its folder lists it. Its inode is no part of that: some file systems give another at each mount."""
    try:
        status = file.stat()
    except OSError as error:
        raise unreadable(file, error) from None
    return file.name, status.st_size, str(status.st_mtime_ns)


def store_files(source: str) -> list[File]:
    """The files at a URL that a fetch would copy.

    Raises:
        WudiError: A package is missing, there is no such place, it refuses, it holds no checkpoint, or it did not
            answer often enough.
    """
    from tasks.fetching.remote import MEND, listing, opened, refused  # takes its time to import

    store, path = opened(source)

    def ask(action: Callable[[], Any]) -> Any:
        return persistently(source, action, partial(refused, source))

    def text(name: str) -> str:
        content: bytes = ask(lambda: store.cat_file(f"{path}/{name}"))
        return content.decode("utf-8")

    listed = ask(lambda: listing(store, path))
    sizes = {name: entry.size for name, entry in listed.items()}
    names = choose(Listing(source, sizes, text), MEND)
    infos = {name: ask(partial(store.info, f"{path}/{name}")) for name in names}  # from the listing, where it is kept
    return [(name, sizes[name], mark(infos[name]) or listed[name].version) for name in names]


def mark(info: dict[str, Any]) -> str | None:
    """What a store says that changes with a file; None if it says nothing of the kind."""
    return next((str(info[key]) for key in MARKS if info.get(key)), None)
