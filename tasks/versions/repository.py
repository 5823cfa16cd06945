"""The revisions of a git repository and the files in them, read from git's objects: nothing is checked out."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

import pygit2

from wudi.errors import WudiError

NIGHT = re.compile(r"night/\d{4}-\d\d-\d\d(\.\d+)?")
"""The tag of a night. Others below night/ are somebody's own."""
TAGS, BRANCHES, EXPERIMENTS = "refs/tags/", "refs/heads/", "refs/exps/"
FEW = 8
"""More revisions than these are not listed where none is near the one that was asked for."""


@dataclass(frozen=True)
class Commit:
    """A commit and what it was asked for by."""

    label: str
    id: str
    when: datetime


class Repository:
    """The git repository that a project lies in.

    Raises:
        WudiError: The project lies in none, or git does not open it.
    """

    def __init__(self, root: Path) -> None:
        try:
            found = pygit2.discover_repository(str(root))
            if found is None:
                raise WudiError(f"{root}: not in a git repository; only `workspace` can be read, and not compared")
            self._git = pygit2.Repository(found)
        except pygit2.GitError as error:
            raise WudiError(f"{root}: git does not open this repository: {error}") from None
        top = Path(self._git.workdir or root).resolve()
        self._prefix = root.resolve().relative_to(top)

    def commit(self, revision: str) -> Commit:
        """The commit of a tag, a branch, a hash, or an experiment of `dvc exp`.

        Raises:
            WudiError: There is none, or several experiments have the name.
        """
        try:
            found = self._git.revparse_single(revision)
        except (KeyError, ValueError, pygit2.GitError):
            found = self._git[self._experiment(revision)]
        try:
            commit = found.peel(pygit2.Commit)
        except (ValueError, pygit2.GitError):
            raise WudiError(f"{revision}: no commit in this repository, but a file or folder") from None
        return Commit(revision, str(commit.id), datetime.fromtimestamp(commit.commit_time, UTC))

    def matching(self, pattern: str) -> list[str]:
        """The tags that a pattern like `night/2026-11-*` matches, in the order of their nights.

        Raises:
            WudiError: There are none.
        """
        tags = self.names(TAGS)
        found = sorted((tag for tag in tags if fnmatchcase(tag, pattern)), key=night_order)
        if not found:
            raise WudiError(f"{pattern}: no tag matches; {hint(pattern, tags)}")
        return found

    def nights(self) -> list[str]:
        """The tags of the nightly runs, in the order of their nights."""
        return sorted((tag for tag in self.names(TAGS) if NIGHT.fullmatch(tag)), key=night_order)

    def names(self, kind: str) -> list[str]:
        """The references of a kind, by their short names."""
        return [name.removeprefix(kind) for name in self._git.references if name.startswith(kind)]

    def blob(self, commit: Commit, path: Path) -> bytes | None:
        """A file of a commit, as it was committed; None where there is none."""
        tree = self._git[commit.id].peel(pygit2.Tree)
        try:
            found = tree[(self._prefix / path).as_posix()]
        except KeyError:
            return None
        return bytes(found.data) if isinstance(found, pygit2.Blob) else None

    def _experiment(self, name: str) -> pygit2.Oid:
        """The commit of an experiment: of several with one name, the one made from what is checked out."""
        commits: dict[str, pygit2.Oid] = {}
        for reference in self.names(EXPERIMENTS):
            start, *named = reference.split("/", maxsplit=2)
            if len(start) == 2 and len(named) == 2 and named[1] == name:
                commits[start + named[0]] = self._git.references[EXPERIMENTS + reference].peel(pygit2.Commit).id
        if not commits:
            raise WudiError(f"{name}: no such revision; {hint(name, self._known())}")
        head = "" if self._git.head_is_unborn else str(self._git.head.target)
        if len(commits) > 1 and head not in commits:
            several = ", ".join(str(commit)[:7] for commit in commits.values())
            raise WudiError(f"{name}: {len(commits)} experiments have this name; name the commit of one: {several}")
        return commits.get(head) or next(iter(commits.values()))

    def _known(self) -> list[str]:
        """What a revision may be called: newest night first."""
        experiments = [name.split("/", maxsplit=2)[2] for name in self.names(EXPERIMENTS) if name.count("/") == 2]
        tags = sorted(self.names(TAGS), key=night_order, reverse=True)
        return ["workspace", *self.names(BRANCHES), *tags, *experiments]


def night_order(tag: str) -> tuple[str, int]:
    """What sorts tags by night: `night/2026-11-03.10` comes after `night/2026-11-03.2`, and both after the first."""
    found = re.fullmatch(r"(.*?)(?:\.(\d+))?", tag)
    night, number = found.groups() if found else (tag, None)
    return night, int(number or 1)


def hint(name: str, known: Iterable[str]) -> str:
    """The nearest of the known names; where none is near, the known ones, if they are few."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]}?"
    if not names:
        return "this repository has none"
    more = f" and {len(names) - FEW} more (git tag, git branch, dvc exp list)" if len(names) > FEW else ""
    return f"known: {', '.join(names[:FEW])}{more}"
