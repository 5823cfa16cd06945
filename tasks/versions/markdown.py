"""Differences as a Markdown document: for a commit's message, for a page that shows Markdown."""

from typing import TYPE_CHECKING

from tasks.leaderboard.words import interval, number, probability, signed
from tasks.versions.change import Change
from tasks.versions.version import MEAN

if TYPE_CHECKING:
    from tasks.versions.differences import Differences


def document(found: "Differences") -> str:
    """The sentences as a list, what moved, and a table with a row for each recipe and number that changed."""
    lines = [f"# {found.after.label} beside {found.before.title}", ""]
    lines += [f"- {escaped(sentence)}" for sentence in found.sentences()]
    changed = [change for change in found.changes if change.benchmark == MEAN or change.difference]
    if changed:
        lines += ["", "| recipe | score | before | after | difference | 95 % interval | adjusted p | |"]
        lines += ["|---|---|---:|---:|---:|---:|---:|---|", *(row(change) for change in changed)]
    return "\n".join([*lines, ""])


def row(change: Change) -> str:
    """A row of the table; a real difference is bold."""
    difference = signed(change.difference)
    cells = [
        escaped(change.recipe),
        escaped(change.benchmark),
        number(change.before),
        number(change.after),
        f"**{difference}**" if change.told_apart else difference,
        interval(change.low, change.high),
        probability(change.p_adjusted),
        escaped(verdict(change)),
    ]
    return f"| {' | '.join(cells)} |"


def verdict(change: Change) -> str:
    """What is to be said of a difference."""
    if change.tested:
        return "told apart" if change.told_apart else "cannot be told apart"
    return change.reason


def escaped(text: str) -> str:
    """Text in which nothing is taken for a sign of Markdown's, and which is read easily as it is."""
    for sign in ("\\", "|", "*", "`", "<", "["):
        text = text.replace(sign, f"\\{sign}")
    return text
