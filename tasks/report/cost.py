"""What each recipe cost, and which ones are worth it: no other has a higher mean for fewer seconds."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tasks import paths
from tasks.leaderboard import words
from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.load import read_json
from tasks.report import cell
from tasks.report.models import costs, spending


@dataclass(frozen=True)
class Cost:
    """The recipes on the front, and a row for each model with its seconds."""

    front: list[str]
    """Best first; empty where no merge was timed."""
    known: int
    """How many recipes have a mean and were timed: nothing is said of the others."""
    recipes: int
    benchmarks: list[str]
    """Those whose seconds are known one by one."""
    rows: list[dict[str, Any]]


def cost(board: Leaderboard) -> Cost | None:
    """What was spent, as far as it was measured; None where nothing was."""
    spent = spending(board)
    if spent.isna().all(axis=None):
        return None
    means = board.summary["mean_normalised"]
    known = {name: (means[name], spent["merge"][name]) for name in board.recipes}
    dearer = {name: outdone_by(name, known) for name in known}
    evaluations = {str(name): evaluation(str(name)) for name in board.summary.index}
    benchmarks = [name for name in board.benchmarks if any(name in timed for timed in evaluations.values())]
    rows = [
        {
            "name": name,
            "kind": kind,
            "normalised": cell.mean(means[name]),
            **costs(spent.loc[name]),
            "standing": standing(dearer.get(name)),
            "benchmarks": [cell.seconds(evaluations[name].get(benchmark, math.nan)) for benchmark in benchmarks],
        }
        for name, kind in zip(board.summary.index.astype(str), board.summary["kind"], strict=True)
    ]
    front = [name for name, others in dearer.items() if others == []]
    told = [name for name, others in dearer.items() if others is not None]
    return Cost(front, len(told), len(dearer), benchmarks, rows)


def outdone_by(name: str, known: Mapping[str, tuple[float, float]]) -> list[str] | None:
    """The recipes that are at least as good for at most the seconds, and better in one of the two; best first.

    Args:
        name: A recipe.
        known: Each recipe's mean and seconds.

    Returns:
        None where the recipe has no mean or was not timed: there is no telling.
    """
    mean, seconds = known[name]
    if pd.isna(mean) or pd.isna(seconds):
        return None
    return [
        other
        for other, (others_mean, others_seconds) in known.items()
        if others_mean >= mean and others_seconds <= seconds and (others_mean, others_seconds) != (mean, seconds)
    ]


def standing(others: list[str] | None) -> str:
    """What is said of a recipe in the table."""
    if others is None:
        return words.BLANK
    return f"{others[0]} is no worse and takes no longer" if others else "on the front"


def evaluation(name: str) -> dict[str, float]:
    """The seconds of a model's evaluation by benchmark, as they were measured here."""
    timed = read_json(paths.timing("evaluate", name)).get("benchmarks", {})
    return {benchmark: float(spent["seconds"]) for benchmark, spent in timed.items() if "seconds" in spent}
