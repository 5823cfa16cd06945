"""How a report was made: from what, with what, on what, when, and by which commands."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.leaderboard.gather import Leaderboard
from tasks.report.checkout import Checkout, checkout
from tasks.report.commands import each_recipe, everything
from tasks.report.measured import conditions, hardware, task_rows, versions
from tasks.report.sources import file_rows, pinned, recipe_rows, source_rows

if TYPE_CHECKING:
    from tasks.params import Params


@dataclass(frozen=True)
class Made:
    """Everything that it takes to make it again."""

    when: datetime
    checkout: Checkout | None
    sources: list[dict[str, Any]]
    recipes: list[dict[str, Any]]
    tasks: list[dict[Any, str]]
    conditions: dict[str, str]
    """What generated the answers, and on what everything ran."""
    versions: dict[str, str]
    files: list[dict[str, str]]
    params: str
    everything: str
    each_recipe: str


def made(board: Leaderboard, params: "Params") -> Made:
    """How the report of this board, which is being written, is made."""
    found = checkout(Path.cwd())
    return Made(
        when=datetime.now(UTC),
        checkout=found,
        sources=source_rows(board, params),
        recipes=recipe_rows(board, params),
        tasks=task_rows(board),
        conditions={**conditions(board.scores), **hardware(board)},
        versions=versions(board),
        files=file_rows(board),
        params=pinned(board, params),
        everything=everything(found),
        each_recipe=each_recipe(board.recipes),
    )
