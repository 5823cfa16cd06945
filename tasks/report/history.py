"""What changed since last time: the versions before this run, what moved between them, and which scores really did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.leaderboard.compare import LEVEL
from tasks.leaderboard.gather import Leaderboard
from wudi.errors import WudiError

if TYPE_CHECKING:
    from tasks.pictures import Picture
    from tasks.versions.differences import Differences
    from tasks.versions.past import Past

SHOWN = 10
"""Older steps and versions than these are folded away."""
COLUMNS = 8
"""More recipes than these have no column in the table of means; all of them are in the pictures."""


@dataclass(frozen=True)
class Step:
    """From one version to the next."""

    name: str
    before: str
    moved: str
    """What may have changed scores, in a phrase."""
    real: Sequence[str]
    """A sentence for each recipe that really rose or fell."""
    tests: str
    """What was not told apart, or not tested and why."""


@dataclass(frozen=True)
class History:
    """The section."""

    headline: str
    """What moved since the last version, and what became of the recipe that ranks first."""
    steps: Sequence[Step] = ()
    """The newest first."""
    recipes: Sequence[str] = ()
    """The columns of the means: the best recipes first."""
    others: int = 0
    """How many recipes have no column."""
    rows: Sequence[Mapping[str, Any]] = ()
    """The mean scores, a row a version, the newest first."""
    pictures: Mapping[str, "Picture"] = field(default_factory=dict)
    notes: Sequence[str] = ()
    """What is not shown, and why."""
    command: str = "python -m tasks.compare"
    """What shows all of it."""
    shown: int = SHOWN
    level: float = LEVEL


def history(board: Leaderboard) -> History | None:
    """A run beside the nights before it or, where there are none, beside the last commit; None if none has results.

    What was before is in no run's way: where it cannot be read, the headline says so.
    """
    from tasks.versions.past import past

    try:
        found = past(Path(), board.scores)
        return None if found is None else section(found, board)
    except Exception as error:
        reason = error if isinstance(error, WudiError) else repr(error)
        return History(f"What changed since last time could not be made out: {reason}")


def section(past: "Past", board: Leaderboard) -> History:
    """The versions as the page shows them."""
    from tasks.versions.headline import headline
    from tasks.versions.pictures import pictures

    recipes = columns(past, board)
    several = len(past.comparison.versions) > 1
    return History(
        headline=headline(past, board.leaders),
        steps=[step_of(step) for step in reversed(past.comparison.steps)],
        recipes=recipes[:COLUMNS],
        others=len(recipes[COLUMNS:]),
        rows=mean_rows(past, recipes[:COLUMNS]) if several else (),
        pictures=pictures(past.comparison) if several else {},
        notes=notes(past),
        command=command(past),
    )


def step_of(step: "Differences") -> Step:
    """A step in words."""
    from tasks.versions.moved import in_words
    from tasks.versions.sentences import told_by_tests

    real = [*step.falls, *step.gains]
    return Step(step.after.label, step.before.until, in_words(step.moves), real, told_by_tests(step))


def columns(past: "Past", board: Leaderboard) -> list[str]:
    """The recipes that any version has scores of, as they rank now; those that are gone come last."""
    known = past.comparison.recipes
    return [name for name in dict.fromkeys([*board.recipes, *known]) if name in known]


def mean_rows(past: "Past", recipes: Sequence[str]) -> list[dict[str, Any]]:
    """The means of these recipes, the newest version first."""
    from tasks.versions.rows import score_table
    from tasks.versions.version import MEAN

    places = [past.comparison.recipes.index(name) for name in recipes]
    rows = score_table(past.comparison, MEAN)["rows"]
    return [{**row, "cells": [row["cells"][place] for place in places]} for row in rows]


def notes(past: "Past") -> list[str]:
    """What the section leaves out."""
    found = list(past.unread)
    if past.earlier:
        found.append(f"{past.earlier} earlier {'night is' if past.earlier == 1 else 'nights are'} not shown.")
    return found


def command(past: "Past") -> str:
    """What shows every version at a terminal: all nights, or the two ends."""
    from tasks.versions.repository import NIGHT

    if NIGHT.fullmatch(past.before.label):
        return History.command
    return f"{History.command} {str(past.before.commit)[:7]} workspace"
