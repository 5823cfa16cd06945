"""Values that mergekit lets differ by layer (lists) or by tensor (filters), as the one value of a recipe."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from wudi.errors import WudiError
from wudi.mergekit.notes import Notes

TRUE, FALSE = {"true", "yes", "on", "1", "t", "y"}, {"false", "no", "off", "0", "f", "n"}


def one_number(place: str, setting: Any, notes: Notes) -> float:
    """A parameter as one number: its own, or for one that differs the mean over layers, or what no filter names.

    Raises:
        WudiError: It is no number.
    """
    if isinstance(setting, Mapping):
        setting = [setting]
    if not isinstance(setting, list):
        return number(place, setting)
    if not setting:
        raise WudiError(f"{place}: got an empty list; takes a number")
    if all(isinstance(entry, Mapping) for entry in setting):
        return by_filter(place, setting, notes)
    values = [number(f"{place}[{index}]", entry) for index, entry in enumerate(setting)]
    if len(set(values)) > 1:
        shown = ", ".join(f"{value:g}" for value in values)
        notes.lose(place, f"goes from layer to layer as {shown}; one value for all here, their mean {mean(values):g}")
    return mean(values)


def by_filter(place: str, conditions: Sequence[Mapping[str, Any]], notes: Notes) -> float:
    """The value of what no filter names; without one, the mean of all.

    Raises:
        WudiError: An entry has no value, or one that is no number.
    """
    values: dict[str | None, float] = {}
    for index, condition in enumerate(conditions):
        where = f"{place}[{index}]"
        if "value" not in condition:
            raise WudiError(f"{where}: got {dict(condition)!r}; takes value, and filter beside it")
        name = condition.get("filter")
        values.setdefault(None if name in (None, "*") else str(name), one_number(where, condition["value"], notes))
        if None in values:  # the first that fits a tensor counts, and this one fits all
            break
    found = values.get(None, sum(values.values()) / len(values))
    if set(values.values()) != {found} or None not in values:
        filters = ", ".join(f"{name} {value:g}" for name, value in values.items() if name is not None)
        kind = "that of the others" if None in values else "their mean"
        notes.lose(place, f"differs by tensor ({filters}); one value for all here, {kind}: {found:g}")
    return found


def mean(values: Sequence[float]) -> float:
    """The mean over a model's layers, between whose ends a list's values lie at equal distances."""
    if len(values) == 1:
        return values[0]
    inner = sum((left + right) / 2 for left, right in pairwise(values))
    return round(inner / (len(values) - 1), 12)


def number(place: str, value: Any) -> float:
    """A number, also one that YAML takes for a text (1e-5).

    Raises:
        WudiError: It is none.
    """
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        found = math.nan
    if math.isfinite(found):
        return found
    raise WudiError(f"{place}: got {value!r}; takes a number")


def flag(place: str, value: Any) -> bool:
    """True or false, in the words that YAML and mergekit have for them.

    Raises:
        WudiError: It is neither.
    """
    word = str(value).lower()
    if word not in TRUE | FALSE:
        raise WudiError(f"{place}: got {value!r}; takes true or false")
    return word in TRUE
