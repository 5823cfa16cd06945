"""The first recipe beside every other model: by how much it is ahead, and whether that is more than luck."""

import math
from typing import Any

from tasks.leaderboard import words
from tasks.leaderboard.compare import LEVEL
from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.strata import MEAN
from tasks.report import cell


def comparison_rows(board: Leaderboard) -> list[dict[str, Any]]:
    """The first recipe against every other model: by mean normalised scores, and by the score on each benchmark."""
    cells = benchmark_cells(board)
    kinds = {str(name): str(kind) for name, kind in board.summary["kind"].items()}
    return [
        {
            "other": words.label(str(other), kinds[str(other)]),
            "kind": kinds[str(other)],
            "difference": cell.mean(row["difference"], row["low"], row["high"]),
            "first_only": row["first_only"],
            "second_only": row["second_only"],
            "p": cell.probability(row["p_adjusted"]),
            "verdict": verdict(row["p_adjusted"]),
            "benchmarks": cells[str(other)],
        }
        for other, row in board.against_first.iterrows()
    ]


def verdict(p: float) -> str:
    """What the paired test says of two models."""
    if math.isnan(p):
        return "not compared"
    return "told apart" if p < LEVEL else "cannot be told apart"


def benchmark_cells(board: Leaderboard) -> dict[str, list[cell.Cell]]:
    """How far the first recipe is ahead of each other model on each benchmark, and whether that is told apart."""
    pairs = board.comparisons[(board.comparisons["first"] == board.first) & (board.comparisons["benchmark"] != MEAN)]
    cells: dict[str, list[cell.Cell]] = {}
    for row in pairs.to_dict("records"):
        ahead = cell.difference(row["difference"], marked=row["p_adjusted"] < LEVEL)
        cells.setdefault(row["second"], []).append(ahead)
    return cells
