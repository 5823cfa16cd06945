"""Scores by version and recipe as the rows of a page's table."""

from typing import Any

from tasks.leaderboard import words
from tasks.versions.show import FELL, ROSE, UNTESTED, mark_of
from tasks.versions.table import Comparison
from tasks.versions.version import Version

MARKS = {
    ROSE: "higher than in the version before",
    FELL: "lower than in the version before",
    UNTESTED: "other than in the version before, but not tested",
}
"""What a mark says to those who do not see it."""


def score_table(comparison: Comparison, benchmark: str) -> dict[str, Any]:
    """The scores by version and recipe; the newest version first, since it is what one looks for."""
    rows = [version_row(comparison, version, benchmark) for version in reversed(comparison.versions)]
    return {"benchmark": benchmark, "rows": rows}


def version_row(comparison: Comparison, version: Version, benchmark: str) -> dict[str, Any]:
    """A version with a cell for each recipe."""
    winners = version.winners(benchmark) if len(version.recipes) > 1 else []
    cells = []
    for recipe in comparison.recipes:
        mark = mark_of(comparison, version, recipe, benchmark)
        score = words.number(version.score(recipe, benchmark))
        cells.append({"score": score, "wins": recipe in winners, "mark": mark, "words": MARKS.get(mark, "")})
    return {"name": version.label, "until": version.until if len(version.names) > 1 else "", "cells": cells}
