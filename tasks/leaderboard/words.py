"""Numbers and findings in words, the same in the terminal and in the report."""

import math

from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.groups import letter

BLANK = "–"
LISTED = 12
"""Groups of more recipes than these are not listed in a sentence."""


def percent(score: float) -> str:
    """A score between 0 and 1 in percent."""
    return number(100 * score)


def number(value: float) -> str:
    """A number with one decimal; a dash when it is not defined."""
    return BLANK if math.isnan(value) else f"{value + 0.0:.1f}"


def signed(value: float) -> str:
    """A difference with its sign and one decimal; a dash when it is not defined."""
    return BLANK if math.isnan(value) else f"{round(value, 1) + 0.0:+.1f}"


def cosine(value: float) -> str:
    """A cosine with two decimals, never -0.00."""
    return f"{round(value, 2) + 0.0:.2f}"


def probability(p: float) -> str:
    """A p value in as few digits as a reader needs."""
    if math.isnan(p):
        return BLANK
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def label(name: str, kind: str) -> str:
    """A model's name; experts are often named after a benchmark, so theirs says what they are."""
    return f"{name} (expert)" if kind == "expert" else name


def listing(names: list[str]) -> str:
    """Names in a sentence: `a`, `a and b`, `a, b and c`."""
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def finding(board: Leaderboard) -> str:
    """The answer in one sentence: the best recipe, and whether it is told apart from the others."""
    best, count, near = board.best, len(board.recipes), board.not_told_apart
    if best is None:
        return "No recipe can be ranked: every declared expert scores 0 on its benchmark."
    value = number(board.summary["mean_normalised"][best])
    if count == 1:
        return f"{best}, the only recipe, has a mean normalised score of {value}."
    first = f"{best} ranks first of {count} recipes with a mean normalised score of {value}"
    if not near:
        return f"{first} and is told apart from every other one."
    if len(near) == count - 1 and count > 2:
        return f"{first}, but cannot be told apart from any other one."
    if len(near) <= 3:
        return f"{first}, but cannot be told apart from {listing(near)}."
    return f"{first}, but cannot be told apart from {len(near)} of the other {count - 1}."


def grouping(board: Leaderboard) -> str:
    """Which recipes share a letter, in a sentence; empty where that says nothing, or takes more than a line or two."""
    if not 1 < len(board.letters) <= LISTED:
        return ""
    named = (f"{letter(number)} {', '.join(recipes)}" for number, recipes in enumerate(board.groups))
    return f"Groups: {'; '.join(named)}."


def cautions(board: Leaderboard) -> list[str]:
    """Every warning with its models."""
    return [caution(text, models, len(board.summary)) for text, models in board.warnings.items()]


def caution(text: str, models: list[str], count: int) -> str:
    """A warning with the models, of so many, that it is about."""
    if len(models) == count:
        return f"all models: {text}"
    named = listing(models) if len(models) <= 3 else f"{', '.join(models[:3])} and {len(models) - 3} more"
    return f"{named}: {text}"
