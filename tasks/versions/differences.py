"""Two versions compared: what moved, and which recipes are really better or worse for it."""

from dataclasses import asdict, dataclass

import pandas as pd

from tasks.versions.change import Change
from tasks.versions.markdown import document
from tasks.versions.measure import same_score
from tasks.versions.moved import Move, moved
from tasks.versions.pairs import compare_pairs
from tasks.versions.sentences import real, sentences
from tasks.versions.version import MEAN, Version


@dataclass(frozen=True, eq=False)
class Differences:
    """One version beside an earlier one."""

    before: Version
    after: Version
    moves: tuple[Move, ...]
    """What may have changed scores."""
    changes: tuple[Change, ...]
    """Of each recipe that both have: the mean, then every benchmark."""

    @property
    def means(self) -> list[Change]:
        """The changes of mean scores."""
        return [change for change in self.changes if change.benchmark == MEAN]

    @property
    def same(self) -> bool:
        """Whether nothing moved and no score changed."""
        scores = [change for change in self.changes if not same_score(change.before, change.after)]
        return not (scores or self.moves or self.added or self.removed)

    @property
    def added(self) -> list[str]:
        """The recipes that only the later version has scores of."""
        return [name for name in self.after.recipes if name not in self.before.recipes]

    @property
    def removed(self) -> list[str]:
        """The recipes that only the earlier version has scores of."""
        return [name for name in self.before.recipes if name not in self.after.recipes]

    @property
    def falls(self) -> list[str]:
        """A sentence for each recipe whose mean score, or a single score, is really lower."""
        return real(self, "fell")

    @property
    def gains(self) -> list[str]:
        """A sentence for each recipe whose mean score, or a single score, is really higher."""
        return real(self, "rose")

    def of(self, recipe: str, benchmark: str = MEAN) -> Change | None:
        """The change of a recipe by one number; None where one of the versions has none."""
        wanted = (recipe, benchmark)
        return next((change for change in self.changes if (change.recipe, change.benchmark) == wanted), None)

    def table(self) -> pd.DataFrame:
        """The changes, a row each, with `difference`, `tested` and `told_apart`."""
        derived = ("difference", "tested", "told_apart")
        rows = [asdict(change) | {name: getattr(change, name) for name in derived} for change in self.changes]
        columns = [*Change.__dataclass_fields__, *derived]
        return pd.DataFrame(rows, columns=columns).drop(columns="earlier")

    def sentences(self) -> list[str]:
        """Two to six lines: what moved, who is ahead, who fell and rose, and what could not be tested."""
        return sentences(self)

    def markdown(self) -> str:
        """A document with the sentences and a table of all changes."""
        return document(self)


def differences(before: Version, after: Version, *, with_intervals: bool = True) -> Differences:
    """Compare a version with an earlier one.

    Args:
        before: The earlier version.
        after: The later version.
        with_intervals: Whether intervals are computed, which takes most of the time.

    Raises:
        WudiError: A file of answers is broken.
    """
    shared = [(name, name) for name in after.recipes if name in before.recipes]
    changes = compare_pairs(before, after, shared, with_intervals=with_intervals)
    return Differences(before, after, moved(before, after), tuple(changes))
