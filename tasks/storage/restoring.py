"""What dvc.lock names, brought back from the cache and the remote, as far as they have it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from tasks import paths
from tasks.storage.named import WORKSPACE, Lists, files, outputs
from tasks.storage.repository import reasons, remote_objects
from wudi.errors import WudiError

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB


@dataclass(frozen=True)
class Restored:
    """What became of each output of the workspace's dvc.lock."""

    there: Sequence[str]
    """In the workspace now."""
    missing: Sequence[str]
    """Neither in the cache nor in the remote."""


RESULTS = tuple(map(str, (paths.SCORES, paths.SAMPLES, paths.RESULTS)))
"""The folders without a checkpoint."""


def restore(repo: "Repo", remote: str | None, *, results_alone: bool = False) -> Restored:
    """Fetch what the cache lacks and the remote has, and put every complete output into its place.

    Args:
        repo: DVC's repository.
        remote: The remote's name; the default one, if there is one, without it.
        results_alone: Scores, answers and results, and no checkpoint.

    Raises:
        WudiError: The remote does not answer or breaks off, or a file of the workspace would be lost.
    """
    from dvc.exceptions import DownloadError

    wanted = [output for output in outputs(repo, WORKSPACE) if output.use_cache]
    if results_alone:
        wanted = [output for output in wanted if PurePath(output.def_path).parts[0] in RESULTS]
    store = remote_objects(repo, remote) if remote or repo.config["core"].get("remote") else None
    lists = Lists([repo.cache.local] if store is None else [repo.cache.local, store])
    lacking = {output: absent(repo.cache.local, files(output, lists)) for output in wanted}
    gone = absent(store, set().union(*lacking.values()))
    here = [output for output in wanted if is_whole(output, lists) and not lacking[output] & gone]
    far = [output for output in here if lacking[output]]
    try:
        if far:
            repo.fetch([output.fs_path for output in far], remote=remote)
    except DownloadError as error:
        raise WudiError(f"{reasons(error)}; run it again to go on where it stopped") from None
    if here:
        repo.checkout([output.fs_path for output in here])
    return Restored([output.def_path for output in here], [output.def_path for output in wanted if output not in here])


def is_whole(output: "Output", lists: Lists) -> bool:
    """Whether it is known which files an output has."""
    return bool(files(output, lists))


def absent(place: "HashFileDB | None", hashes: Collection[str]) -> frozenset[str]:
    """The hashes that a place has not."""
    if place is None or not hashes:
        return frozenset(hashes)
    return frozenset(hashes) - set(place.oids_exist(list(hashes)))
