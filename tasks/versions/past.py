"""What a run looks back on: the nights before it or, where there are none, the last commit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from tasks.versions.differences import Differences
from tasks.versions.history import History
from tasks.versions.scores import NoMetrics
from tasks.versions.table import Comparison, preceded
from tasks.versions.version import Version
from wudi.errors import WudiError

if TYPE_CHECKING:
    import pandas as pd

NOW = "this run"
"""What the version that is being made is called."""
HEAD = "HEAD"
NIGHTS = 60
"""Nights before so many are not looked at."""
PATIENCE = 4.0
"""Seconds after which no further version is looked at, beyond the one before the run."""


@dataclass(frozen=True, eq=False)
class Past:
    """A run beside the versions before it, as far back as was looked."""

    comparison: Comparison
    """The last version is the run, or the one that it is the same as."""
    unread: Sequence[str]
    """A sentence for each version that could not be read, with the reason; the newest first."""
    earlier: int
    """How many nights were not looked at, since they are many or take long to read."""

    @property
    def step(self) -> Differences | None:
        """The run beside the version before it; None where they are the same."""
        return self.comparison.steps[-1] if self.comparison.versions[-1].names == (NOW,) else None

    @property
    def before(self) -> Version:
        """The version before the run."""
        return self.comparison.versions[-1] if self.step is None else self.step.before


def past(root: Path, scores: "pd.DataFrame") -> Past | None:
    """A run beside the nights before it or, where there are none, beside the last commit; None if none has results.

    Only git's objects, DVC's cache and the working tree are read, so that it works within `dvc repro`.

    Args:
        root: The project's folder.
        scores: What the run has measured, a row for each model and benchmark: dvc.lock may not know of it yet.

    Raises:
        WudiError: DVC's settings, the files of the working tree, or every earlier version cannot be read.
    """
    history = History(root)
    revisions = earlier(history)
    if not revisions:
        return None
    comparison, unread = Comparison([replace(history.workspace(scores), names=(NOW,))], []), list[str]()
    waiting = by_commit(history, revisions[-NIGHTS:])
    end = monotonic() + PATIENCE
    while waiting and (monotonic() < end or comparison.versions[0].names == (NOW,)):
        names = waiting.pop()
        try:
            comparison = preceded(comparison, read(history, names))
        except NoMetrics as error:
            unread += [left_out(names[0], error)] if names != (HEAD,) else []
        except Exception as error:  # what another time wrote may be of any form, and is in no run's way
            unread.append(left_out(names[0], error))
    if comparison.versions[0].names == (NOW,):
        if unread:
            raise WudiError(unread[0])
        return None
    return Past(comparison, unread, len(revisions[:-NIGHTS]) + sum(map(len, waiting)))


def earlier(history: History) -> list[str]:
    """The nights, else the last commit; none where there is none, and outside of git."""
    try:
        return history.repository.nights() or [history.repository.commit(HEAD).label]
    except WudiError:
        return []


def by_commit(history: History, revisions: Sequence[str]) -> list[tuple[str, ...]]:
    """The revisions, those of one commit together; one that leads to no commit stands alone."""
    names: dict[str, list[str]] = {}
    for revision in revisions:
        try:
            key = history.repository.commit(revision).id
        except WudiError:
            key = revision
        names.setdefault(key, []).append(revision)
    return [tuple(of_one) for of_one in names.values()]


def read(history: History, names: tuple[str, ...]) -> Version:
    """The version that goes by these names; the last commit goes by its hash, since it will not be the last for long.

    Raises:
        WudiError: It has no metrics, or they are broken.
    """
    version = history.read(names[0])
    return replace(version, names=(f"commit {str(version.commit)[:7]}",) if names == (HEAD,) else names)


def left_out(name: str, error: Exception) -> str:
    """That a version is left out, and why."""
    reason = str(error) if isinstance(error, WudiError) else repr(error)
    return f"{name} is left out: {reason.removeprefix(f'{name}: ')}"
