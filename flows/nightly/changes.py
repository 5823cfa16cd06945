"""Tonight beside other nights: the last good one, and the best one so far."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tasks.leaderboard.words import listing, number, probability
from tasks.versions import Differences, History, NewBest, Version, differences, new_best, night_tags
from wudi.errors import WudiError


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What tonight's scores say."""

    version: Version
    since: Differences | None
    """Tonight beside the last good night; None for the first night."""
    record: NewBest | None
    """The recipe that scores higher than any did in a comparable night before; None if none does."""

    def headline(self) -> str:
        """The recipe that is ahead, in a few words."""
        ahead = self.version.winners()
        if not ahead:
            return "no recipe has a mean score"
        if self.version.score(ahead[0]) == 0:
            return "every recipe has a mean score of 0"
        return f"{listing(ahead)} ahead with a mean score of {number(self.version.score(ahead[0]))}"

    def sentences(self) -> list[str]:
        """What differs from the last night, and whether it is the best so far."""
        since = self.since.sentences() if self.since else ["The first night: there is none to compare it with."]
        return [*since, *([in_words(self.record)] if self.record else [])]

    def falls(self) -> list[str]:
        """A sentence for each recipe that really lost."""
        return self.since.falls if self.since else []

    def best(self) -> str | None:
        """That there is a new best, unless that may well be luck."""
        if self.record is None or (self.record.change.tested and not self.record.told_apart):
            return None
        return in_words(self.record)

    def markdown(self) -> str:
        """The differences as a document."""
        return self.since.markdown() if self.since else "The first night: there is none to compare it with.\n"


def compare(root: Path, last: str | None, tag: str, revision: str | None = None) -> Changes:
    """Compare a night with the commit of the last one before it, and with all earlier ones.

    Args:
        root: The nights' clone.
        last: The commit of the last night before it.
        tag: Its tag.
        revision: Where it is kept already; None: its files are those of `root`, not yet committed.

    Raises:
        WudiError: Its own scores, or the last night's, cannot be read.
    """
    history = History(root)
    night = replace(history.read(revision), names=(tag,))
    tags = night_tags(root)
    earlier = readable(history, tags[: tags.index(tag)] if tag in tags else tags)
    before = next((version for version in earlier if version.commit == last), None)
    if before is None and last is not None:
        before = history.read(last)
    since = differences(before, night) if before else None
    return Changes(version=night, since=since, record=new_best(night, earlier))


def readable(history: History, tags: Sequence[str]) -> list[Version]:
    """The versions of the nights; one that cannot be read, such as of an older form, is in no other's way."""
    try:
        return history.read_all(tags)
    except WudiError:
        found = []
        for tag in tags:
            with suppress(WudiError):
                found.append(history.read(tag))
        return found


def in_words(record: NewBest) -> str:
    """A new best score in a sentence, and how far it is to be believed."""
    change = record.change
    if change.tested:
        verdict = "The best so far" if record.told_apart else "The highest so far, which may be luck"
        sure = f"adjusted p {probability(change.p_adjusted)}"
    else:
        verdict, sure = "The highest so far, not tested", change.reason
    return (
        f"{verdict}: {record.now.recipe} with a mean score of {number(record.now.score)}; before, it was "
        f"{record.earlier.recipe} at {record.earlier.version.label} with {number(record.earlier.score)} ({sure})."
    )
