"""Small expressions that can be computed: what the two miniatures about code ask for."""

from random import Random
from typing import Any


def value_of(expression: str, name: str, argument: Any) -> Any:
    """Compute an expression that a generator of this package wrote, so that no answer is written down twice."""
    return eval(expression, {"__builtins__": {"sum": sum, "len": len, "max": max, "min": min, "sorted": sorted}}, {name: argument})  # noqa: S307


def distinct(random: Random, items: range, count: int) -> list[int]:
    """Draw different numbers, in any order."""
    return random.sample(items, count)
