"""Small expressions that can be computed: what the two miniatures about code ask for."""

from typing import Any

_BUILTINS = {"len": len, "max": max, "min": min, "sum": sum}


def value_of(expression: str, names: dict[str, Any]) -> Any:
    """Compute an expression that a generator of this package wrote, so that no answer is written down twice."""
    return eval(expression, {"__builtins__": _BUILTINS}, names)
