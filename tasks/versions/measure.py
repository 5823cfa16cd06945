"""Whether two scores on a benchmark are of the same kind: the same questions, asked and judged in the same way."""

import math
from collections.abc import Mapping
from typing import Any

from tasks.leaderboard.conditions import SETTINGS
from tasks.leaderboard.words import text
from tasks.versions.tree import section
from tasks.versions.version import Version

ASKED = {name: words for name, words in SETTINGS.items() if name not in ("backend", "device", "dtype")}
"""What makes scores incomparable. Backend, device and data type move scores too, but the questions stay the same ones:
that is said of what moved."""
ROUNDED = 0.0005
"""In percent: results/leaderboard.csv rounds scores by less than this, and a question moves them by more."""


def asked_otherwise(before: Version, after: Version, models: tuple[str, str], benchmark: str) -> str:
    """What is different about how two models were asked a benchmark, in words; empty where nothing is known to be.

    Args:
        before: The version of the first model.
        after: The version of the second model.
        models: One of each version, both with a score on the benchmark.
        benchmark: The benchmark.
    """
    one, other = before.cells[models[0], benchmark], after.cells[models[1], benchmark]
    if known(one) and known(other):
        changes = [
            f"{words} {text(one[name])} -> {text(other[name])}"
            for name, words in {**ASKED, "questions": "questions"}.items()
            if differ(one[name], other[name])
        ]
        return f"{benchmark}: {', '.join(changes)}" if changes else ""
    settings = [section(version.params, "evaluation", "benchmarks", benchmark) for version in (before, after)]
    return "" if settings[0] == settings[1] else f"{benchmark}: other settings in params.yaml"


def known(row: Mapping[str, Any]) -> bool:
    """Whether a score says how it was measured: one of results/leaderboard.csv does not."""
    return isinstance(row["task"], str)


def same_score(one: float, other: float) -> bool:
    """Whether two scores in percent are equal as far as results/leaderboard.csv has them; two blanks are."""
    return math.isclose(one, other, rel_tol=0, abs_tol=ROUNDED) or (math.isnan(one) and math.isnan(other))


def differ(one: object, other: object) -> bool:
    """Whether two values are different ones; two blanks are the same."""
    blank = [value is None or (isinstance(value, float) and math.isnan(value)) for value in (one, other)]
    return not all(blank) and (any(blank) or one != other)
