"""What a remote lacks of some revisions."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.storage.named import Lists, files, outputs
from tasks.storage.repository import remote_objects
from tasks.storage.restoring import absent

if TYPE_CHECKING:
    from dvc.repo import Repo


def absent_outputs(repo: "Repo", revisions: Sequence[str]) -> list[str]:
    """The outputs of some revisions that are to be in the default remote and are not, as `PATH at REVISION`.

    Raises:
        WudiError: A revision cannot be read, or the remote does not answer.
    """
    found: dict[str, frozenset[str]] = {}
    lists: Lists | None = None
    store = remote_objects(repo, None)
    for revision in repo.brancher(revs=list(revisions)):
        if revision == "workspace":
            continue
        lists = lists or Lists([repo.cache.local, store])
        for output in outputs(repo, revision):
            if output.use_cache and output.can_push:
                found[f"{output.def_path} at {revision}"] = files(output, lists)
    gone = absent(store, frozenset[str]().union(*found.values()))
    return [name for name, hashes in found.items() if not hashes or hashes & gone]
