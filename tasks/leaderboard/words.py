"""Numbers and findings in words, the same in the terminal and in the report."""

import math

from tasks.leaderboard.gather import Leaderboard

BLANK = "–"


def percent(score: float) -> str:
    """A score between 0 and 1 in percent."""
    return number(100 * score)


def number(value: float) -> str:
    """A number with one decimal; a dash when it is not defined."""
    return BLANK if math.isnan(value) else f"{value + 0.0:.1f}"


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


def exclusion(board: Leaderboard) -> str:
    """What is left out of the means, and why; empty when nothing is, or all (the finding says so then)."""
    if board.best is None or not board.undefined:
        return ""
    return f"{listing(board.undefined)}: left out of mean normalised scores, because the expert scores 0 there."
