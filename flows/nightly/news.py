"""What a night says: to the terminal, in its commit, on Prefect's pages, and to those who asked to be told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Self

from flows.nightly.alert import Alert, send_alerts
from flows.nightly.changes import Changes
from flows.nightly.sources import Moved
from tasks.alerts import Channel, hosts_alone
from tasks.params import load_nightly
from wudi.errors import WudiError


@dataclass(frozen=True, kw_only=True)
class Night:
    """A night that was made."""

    tag: str
    branch: str
    source: str
    """The commit of the branch."""
    commit: str = ""
    """Its own commit."""
    moved: tuple[Moved, ...] = ()
    changes: Changes | None = None
    """Beside the nights before; None where nothing changed, or where it could not be compared."""
    unchanged: bool = False
    """Whether it has the last night's commit."""
    repeated: bool = False
    """Whether the tag was there already."""
    problems: tuple[str, ...] = ()
    """What could not be done: compare it, push it, show it."""

    def at(self, commit: str) -> Self:
        """The night with its commit."""
        return replace(self, commit=commit)

    def compared(self, changes: Changes) -> Self:
        """The night beside those before."""
        return replace(self, changes=changes)

    def with_problems(self, *problems: str) -> Self:
        """The night with what more could not be done."""
        return replace(self, problems=(*self.problems, *problems))

    def subject(self) -> str:
        """The night in one line."""
        if self.repeated:
            return f"{self.tag} is there already, and nothing has changed since"
        if self.unchanged:
            return f"{self.tag}: nothing changed since the last night"
        return f"{self.tag}: {self.changes.headline() if self.changes else 'not compared'}"

    def sentences(self) -> list[str]:
        """The night in some lines, each to be understood by itself."""
        found = self.changes.sentences() if self.changes else []
        return [self.subject(), *found, *self.problems]

    def message(self) -> str:
        """The message of its commit and its tag."""
        body = self.changes.sentences() if self.changes else [*map(str, self.moved), *self.problems]
        source = f"Source: {self.branch} {self.source}"
        return "\n\n".join([self.subject(), *(["\n".join(body)] if body else []), source])

    def markdown(self) -> str:
        """The night as a document."""
        if self.changes is None:
            return "\n".join(
                [f"# {self.subject()}", "", *(f"- {line}" for line in (*map(str, self.moved), *self.problems))]
            )
        problems = "".join(f"\n- {problem}" for problem in self.problems)
        return self.changes.markdown() + (f"\n## What could not be done\n{problems}\n" if problems else "")


def news(night: Night) -> list[Alert]:
    """What of a night is worth telling."""
    text = "\n".join(night.sentences()[1:])
    told = [] if night.repeated else [Alert(event="night", subject=night.subject(), body=text)]
    if night.problems:
        told.append(
            Alert(event="failure", subject=f"{night.tag} is made, but not all is well", body="\n".join(night.problems))
        )
    if night.changes and night.changes.falls():
        told.append(Alert(event="fall", subject=f"{night.tag}: a fall", body="\n".join(night.changes.falls())))
    best = night.changes.best() if night.changes else None
    if best:
        told.append(Alert(event="best", subject=f"{night.tag}: a new best", body=best))
    return [replace(alert, night=night.tag) for alert in told]


def failed(night: date, error: BaseException) -> Alert:
    """What is told of a night that failed."""
    return Alert(event="failure", subject=f"the night of {night} failed", body=said(error), night=str(night))


def said(error: BaseException) -> str:
    """What an error says, of an unexpected one also what it is; of addresses no more than the host."""
    return hosts_alone(str(error) if isinstance(error, WudiError) else f"{type(error).__name__}: {error}")


def tell(told: Sequence[Alert], files: Sequence[Path], say: Callable[[str], None]) -> None:
    """Send alerts to those whom params.yaml names; what is in the way of that fails no night.

    Args:
        told: What there is to tell.
        files: Where params.yaml may be found, first tonight's; the first that can be read counts.
        say: Is told what is in the way.
    """
    if told:
        for problem in send_alerts(told, channels_in(files, say)):
            say(f"warning: {problem}")


def channels_in(files: Sequence[Path], say: Callable[[str], None]) -> Sequence[Channel]:
    """Whom to tell."""
    problems = []
    for file in files:
        try:
            return load_nightly(file).alerts
        except WudiError as error:
            problems.append(str(error))
    say(f"warning: nobody could be told of it: {'; '.join(problems)}")
    return ()
