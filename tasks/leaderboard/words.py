"""Numbers, values and names in words, the same in the terminal, in the report and in warnings."""

import math
from collections.abc import Sequence

import pandas as pd

BLANK = "–"


def percent(score: float) -> str:
    """A score between 0 and 1 in percent."""
    return number(100 * score)


def number(value: float) -> str:
    """A number with one decimal; a dash when it is not defined."""
    return BLANK if math.isnan(value) else f"{value + 0.0:.1f}"


def signed(value: float) -> str:
    """A difference with its sign and one decimal; a dash when it is not defined."""
    return BLANK if math.isnan(value) else f"{round(value, 1) + 0.0:+.1f}"


def interval(low: float, high: float) -> str:
    """The two ends of an interval; a dash when it is not defined."""
    return BLANK if math.isnan(low) else f"{number(low)} to {number(high)}"


def cosine(value: float) -> str:
    """A cosine with two decimals, never -0.00."""
    return f"{round(value, 2) + 0.0:.2f}"


def probability(p: float) -> str:
    """A p value in as few digits as a reader needs."""
    if math.isnan(p):
        return BLANK
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def text(value: object) -> str:
    """A value in a cell: a dash for nothing, yes and no, whole numbers without a point."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return BLANK
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def label(name: str, kind: str) -> str:
    """A model's name; experts are often named after a benchmark, so theirs says what they are."""
    return f"{name} (expert)" if kind == "expert" else name


def listing(names: Sequence[str]) -> str:
    """Names in a sentence: `a`, `a and b`, `a, b and c`."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
