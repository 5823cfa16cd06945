"""A number in a table of the page: as it is read, and as rows are sorted by it."""

import math
from dataclasses import dataclass

from tasks.leaderboard import words


@dataclass(frozen=True)
class Cell:
    """A number in a table; one that is not known is a dash, and is sorted last."""

    text: str
    value: float = math.nan
    beside: str = ""
    """What stands small beside it: its error, or its interval."""
    marked: bool = False

    @property
    def key(self) -> str:
        """What rows are sorted by; empty where there is nothing."""
        return "" if math.isnan(self.value) else repr(self.value + 0.0)


def score(value: float, error: float, *, marked: bool = False) -> Cell:
    """A score between 0 and 1 in percent, with its standard error."""
    beside = "" if math.isnan(error) else f"± {words.percent(error)}"
    return Cell(words.percent(value), float(value), beside, marked)


def mean(value: float, low: float = math.nan, high: float = math.nan) -> Cell:
    """A number with one decimal and, where it is known, its interval."""
    return Cell(words.number(value), float(value), "" if math.isnan(low) else words.interval(low, high))


def seconds(value: float) -> Cell:
    """Seconds in as many digits as matter; a dash where nothing was measured."""
    digits = 1 if value < 100 else 0
    return Cell(words.BLANK if math.isnan(value) else f"{value:,.{digits}f}", float(value))


def count(value: float) -> Cell:
    """A whole number, or a speed: no decimals."""
    return Cell(words.BLANK if math.isnan(value) else f"{value:,.0f}", float(value))


def probability(value: float) -> Cell:
    """A p value."""
    return Cell(words.probability(value), float(value))


def difference(value: float, *, marked: bool = False) -> Cell:
    """A difference with its sign; marked where it is real."""
    return Cell(words.signed(value), float(value), marked=marked)
