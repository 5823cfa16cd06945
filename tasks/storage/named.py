"""The objects that a revision names: the files of its outputs, each under its hash."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

from tasks import paths
from tasks.storage.repository import reasons
from wudi.errors import WudiError

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB
    from dvc_data.hashfile.hash_info import HashInfo

REBUILT = (paths.MERGED, paths.TASK_VECTORS)
"""What `dvc repro` computes again to the same bytes, from what is kept."""
WORKSPACE = "workspace"
"""DVC's name for the files as they lie there, committed or not."""


@dataclass
class Named:
    """The hashes that revisions name."""

    kept: set[str] = field(default_factory=set)
    rebuilt: set[str] = field(default_factory=set)
    """Of merged models and task vectors that need not be kept; some may be in `kept` as well, as one file."""


class Lists:
    """The lists of files that DVC keeps of folders, found in the first place that has them."""

    def __init__(self, places: Sequence["HashFileDB"]) -> None:
        self._places = places
        self._known: dict[str, frozenset[str]] = {}

    def files(self, folder: "HashInfo") -> frozenset[str]:
        """The hashes of a folder's list and files; none where no place has the list, so that nobody can restore it.

        Raises:
            WudiError: The list is damaged.
        """
        value = str(folder.value)
        if value not in self._known:
            self._known[value] = self._read(folder)
        return self._known[value]

    def _read(self, folder: "HashInfo") -> frozenset[str]:
        from dvc_data.hashfile.tree import Tree
        from dvc_objects.errors import ObjectFormatError

        for place in self._places:
            try:
                return frozenset({str(folder.value), *(entry.value for _, _, entry in Tree.load(place, folder))})
            except FileNotFoundError:
                continue
            except ObjectFormatError as error:
                raise WudiError(f"{error}; remove that file, and `dvc fetch` or `dvc repro` brings it back") from None
        return frozenset()


def named(repo: "Repo", lists: Lists, whole: Sequence[str], found: Named, tell: Callable[[str], None]) -> None:
    """Add to `found` what all branches (of remotes too), tags, experiments and the workspace name.

    Args:
        repo: DVC's repository.
        lists: Where the lists of folders are read.
        whole: The revisions of which merged models and task vectors are kept too, beside workspace and HEAD.
        found: Is added to.
        tell: Is told each revision before it is read.

    Raises:
        WudiError: A revision cannot be read.
    """
    for revision, is_whole in revisions(repo, whole):
        tell(revision)
        for output in outputs(repo, revision):
            hashes = files(output, lists)
            if is_whole or PurePath(output.def_path).parts[0] not in map(str, REBUILT):
                found.kept |= hashes
            else:
                found.rebuilt |= hashes


def revisions(repo: "Repo", whole: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Each revision while `repo` shows it, and whether it is kept whole: the workspace, HEAD, and those in `whole`.

    Raises:
        WudiError: One cannot be found or read.
    """
    from dvc.exceptions import DvcException
    from dvc.scm import resolve_rev

    remote_branches = list(repo.scm.iter_refs("refs/remotes"))
    try:
        complete = {WORKSPACE, *(resolve_rev(repo.scm, name) for name in ("HEAD", *whole))}
        everywhere = {"all_branches": True, "all_tags": True, "all_experiments": True}
        for revision in repo.brancher(revs=["HEAD", *whole, *remote_branches], **everywhere, sha_only=True):
            yield revision, revision in complete
    except DvcException as error:
        raise WudiError(f"{reasons(error)}; nothing was deleted") from None


def outputs(repo: "Repo", revision: str) -> list["Output"]:
    """The outputs of a revision that have been made.

    Raises:
        WudiError: Its dvc.yaml, dvc.lock or params.yaml cannot be read.
    """
    from dvc.exceptions import DvcException

    try:
        return [output for stage in repo.index.stages for output in stage.outs if output.hash_info]
    except DvcException as error:
        raise WudiError(
            f"revision {revision[:10]} cannot be read, so what it names is not known: {reasons(error)}; "
            "mend it, or delete the branch, tag or experiment that holds it"
        ) from None


def files(output: "Output", lists: Lists) -> frozenset[str]:
    """The hashes of an output: of a file, or of a folder's list and files."""
    return lists.files(output.hash_info) if output.hash_info.isdir else frozenset({output.hash_info.value})
