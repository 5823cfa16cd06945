"""The commit that a run was made from, as git says."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

OWN = ("dvc.lock", "results/")
"""What a run itself writes into the working tree: it differs from the commit in any run that computed something."""


@dataclass(frozen=True)
class Checkout:
    """What is checked out."""

    commit: str
    changed: list[str]
    """The files that git follows and that are not as in the commit."""
    url: str
    """Where to clone it from, without a password; empty where there is no remote."""

    @property
    def folder(self) -> str:
        """The folder that `git clone` makes."""
        return PurePosixPath(self.url).name.rpartition(":")[-1].removesuffix(".git") or "wudi"


def checkout(root: Path) -> Checkout | None:
    """What is checked out where a project lies; None outside git, and before the first commit."""
    import pygit2

    try:
        found = pygit2.discover_repository(str(root))
        if found is None:
            return None
        repository = pygit2.Repository(found)
        if repository.head_is_unborn:
            return None
        changed = sorted(repository.status(untracked_files="no"))
        commit = str(repository.head.target)
    except pygit2.GitError:
        return None
    urls = {remote.name: remote.url for remote in repository.remotes}
    url = urls.get("origin", next(iter(urls.values()), "")) or ""
    return Checkout(commit, [file for file in changed if not file.startswith(OWN)], without_password(url))


def without_password(url: str) -> str:
    """An address without what stands before its host; `git@` of ssh is no secret."""
    return re.sub(r"^(https?://)[^/@]*@", r"\1", url)
