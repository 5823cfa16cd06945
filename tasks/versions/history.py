"""Versions read from a project's git history, DVC cache and working tree; `root` may be any folder."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tasks import paths
from tasks.versions.cache import Cache
from tasks.versions.repository import Commit, Repository
from tasks.versions.scores import kinds_of, read_scores, with_means
from tasks.versions.tree import Tree
from tasks.versions.verdicts import Memory
from tasks.versions.version import Version
from wudi.errors import WudiError

if TYPE_CHECKING:
    import pandas as pd

WORKSPACE = "workspace"
PATTERN = set("*?[")


class History:
    """A project whose versions are read; what two of them share is read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._cache = Cache(root)
        self._memory = Memory(root / paths.VERDICTS)

    @cached_property
    def repository(self) -> Repository:
        """The git repository.

        Raises:
            WudiError: There is none.
        """
        return Repository(self.root)

    def read(self, revision: str | None) -> Version:
        """The version at a revision, or in the working tree.

        Raises:
            WudiError: There is no such revision, or it has no metrics.
        """
        if revision in (None, WORKSPACE):
            return self.workspace()
        return self._at(self.repository.commit(str(revision)), (str(revision),))

    def read_all(self, revisions: Sequence[str], last: int | None = None) -> list[Version]:
        """The versions at some revisions, patterns of tags among them; names of one commit are one version.

        Args:
            revisions: In the order of the versions.
            last: So many of them, from the end; None: all.

        Raises:
            WudiError: There is no such revision, or it has no metrics.
        """
        names: dict[str, list[str]] = {}
        commits: dict[str, Commit | None] = {}
        for revision in self._expanded(revisions)[-(last or 0) :]:
            commit = None if revision == WORKSPACE else self.repository.commit(revision)
            key = revision if commit is None else commit.id
            commits.setdefault(key, commit)
            if revision not in names.setdefault(key, []):
                names[key].append(revision)
        return [
            self.workspace() if commit is None else self._at(commit, tuple(names[key]))
            for key, commit in commits.items()
        ]

    def nights(self, last: int | None = None) -> list[Version]:
        """The versions of the nightly runs and, if its scores are others than the last night's, the working tree's.

        Raises:
            WudiError: There is nothing to read.
        """
        versions = self.read_all(self.repository.nights(), last)
        try:
            workspace = self.workspace()
        except WudiError:
            if not versions:
                raise
            return versions
        return versions if versions and same_scores(versions[-1], workspace) else [*versions, workspace]

    def workspace(self, scores: "pd.DataFrame | None" = None) -> Version:
        """The version in the working tree.

        Args:
            scores: What a run has just gathered, a row for each model and benchmark; None: what the files say.

        Raises:
            WudiError: There are no scores, or a file is broken.
        """

        def content(path: Path) -> bytes | None:
            file = self.root / path
            return file.read_bytes() if file.is_file() else None

        return self._version(Tree(WORKSPACE, content, self._cache, self.root), None, (WORKSPACE,), scores)

    def _expanded(self, revisions: Iterable[str]) -> list[str]:
        """The revisions, with every pattern replaced by the tags that it matches."""
        return [
            name
            for revision in revisions
            for name in (self.repository.matching(revision) if PATTERN & set(revision) else [revision])
        ]

    def _at(self, commit: Commit, names: tuple[str, ...]) -> Version:
        """The version of a commit."""
        tree = Tree(commit.label, lambda path: self.repository.blob(commit, path), self._cache)
        return self._version(tree, commit, names)

    def _version(
        self, tree: Tree, commit: Commit | None, names: tuple[str, ...], given: "pd.DataFrame | None" = None
    ) -> Version:
        """The version of a tree, with its own scores unless others are given."""
        scores, summary = read_scores(tree) if given is None else with_means(given, tree.params)
        return Version(
            names=names,
            commit=None if commit is None else commit.id,
            when=None if commit is None else commit.when,
            params=tree.params,
            lock=tree.lock,
            scores=scores,
            summary=summary,
            answers={model: tree.answers(model) for model in kinds_of(tree.params)},
            remembered=self._memory.read,
        )


def read_version(root: Path, rev: str | None) -> Version:
    """The version at a revision of a project; None: in its working tree.

    Raises:
        WudiError: There is no such revision, or it has no metrics.
    """
    return History(root).read(rev)


def night_tags(root: Path) -> list[str]:
    """The tags of a project's nightly runs, in the order of their nights.

    Raises:
        WudiError: The project is in no git repository.
    """
    return Repository(root).nights()


def same_scores(one: Version, other: Version) -> bool:
    """Whether two versions have the same scores, as exactly as results/leaderboard.csv has them."""

    def known(version: Version) -> dict[object, float]:
        cells = {cell: row["score"] for cell, row in version.cells.items()}
        return {key: round(score, 6) for key, score in (cells or version.summary["score"].dropna()).items()}

    return known(one) == known(other)
