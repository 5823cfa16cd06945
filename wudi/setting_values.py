"""Values of settings as YAML or the command line gives them: read as the declared type, and within its bounds."""

import difflib
import math
import types
from collections.abc import Mapping
from dataclasses import Field
from typing import Any, Literal, Union, get_args, get_origin

from wudi.errors import WudiError

LARGEST = 1e30


class SettingError(WudiError):
    """One setting that is unknown, of the wrong type or out of range; `key` names it (empty: the recipe itself)."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}" if key else problem)
        self.key = key
        self.problem = problem


def checked(declared: Field[Any], hint: Any, value: Any) -> Any:
    """Return `value` as the declared type, or raise a `SettingError` that says what is allowed."""
    if any(abs(number) > LARGEST for number in numbers_in(value)):
        raise SettingError(declared.name, f"got {value!r}; takes numbers up to {LARGEST:g}, which float32 can hold")
    for choice in options(hint):
        converted = converted_to(choice, value)
        if converted is not None and within(declared, converted):
            return converted
    if get_origin(hint) is dict and isinstance(value, Mapping):
        raise wrong_entry(declared, hint, value)
    raise SettingError(declared.name, f"got {value!r}; takes {allowed(declared, hint)}")


def numbers_in(value: Any) -> list[float]:
    """The finite numbers that a value is or holds."""
    entries = value.values() if isinstance(value, Mapping) else [value]
    found = [converted_to(float, entry) for entry in entries]
    return [number for number in found if number is not None]


def wrong_entry(declared: Field[Any], hint: Any, value: Mapping[Any, Any]) -> SettingError:
    """The error for the first entry of a mapping whose value does not fit."""
    for name, entry in value.items():
        fitting = converted_to(get_args(hint)[1], entry)
        if fitting is None or not within(declared, fitting):
            return SettingError(
                f"{declared.name}.{name}", f"got {entry!r}; takes {allowed(declared, get_args(hint)[1])}"
            )
    return SettingError(declared.name, f"got {value!r}; takes {allowed(declared, hint)}")


def options(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the type itself."""
    is_union = get_origin(hint) in (Union, types.UnionType)
    return get_args(hint) if is_union else (hint,)


def converted_to(choice: Any, value: Any) -> Any:
    """`value` as `choice`, or None when it is not one; text is read as a number.

    A `choice` is a `Literal`, bool, int, float, a tuple of text (given as a list, or as text with commas), or a mapping
    from names to numbers.
    """
    if get_origin(choice) is Literal:
        return value if value in get_args(choice) else None
    if get_origin(choice) is tuple:
        return texts(value)
    if choice is str:
        return value if isinstance(value, str) else None
    if get_origin(choice) is dict:
        return numbers(value)
    if choice is bool or isinstance(value, bool):
        as_text = str(value).lower()
        return as_text == "true" if choice is bool and as_text in ("true", "false") else None
    try:
        number = float(value)
        if not math.isfinite(number) or (choice is int and not number.is_integer()):
            return None
        # Whole numbers beyond 2**53 do not survive a float.
        return choice(value if isinstance(value, int) else number)
    except (TypeError, ValueError, OverflowError):
        return None


def texts(value: Any) -> tuple[str, ...] | None:
    """A list of texts, or one text with commas, as a tuple."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) and part for part in value):
        return tuple(value)
    return None


def numbers(value: Any) -> dict[str, float] | None:
    """A mapping from names to numbers."""
    if not isinstance(value, Mapping):
        return None
    found = {str(name): converted_to(float, number) for name, number in value.items()}
    return None if None in found.values() else found


def within(declared: Field[Any], value: Any) -> bool:
    """Whether a number, or each number of a mapping, lies within its declared bounds; what is no number has none."""
    if isinstance(value, dict):
        return all(within(declared, number) for number in value.values())
    if isinstance(value, (str, bool, tuple)):
        return True
    low, above, high = (declared.metadata.get(bound) for bound in ("at_least", "above", "at_most"))
    return (low is None or value >= low) and (above is None or value > above) and (high is None or value <= high)


def allowed(declared: Field[Any], hint: Any) -> str:
    """What a setting takes, in words: `a number above 0 and at most 1`, `average, base or sum`."""
    bounds = [
        f"{word} {declared.metadata[bound]:g}"
        for bound, word in (("at_least", "at least"), ("above", "above"), ("at_most", "at most"))
        if declared.metadata.get(bound) is not None
    ]
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    parts: list[str] = []
    for choice in options(hint):
        if get_origin(choice) is Literal:
            parts.extend(str(member) for member in get_args(choice))
        elif get_origin(choice) is tuple:
            parts.append("a list of patterns such as *.self_attn.*")
        elif get_origin(choice) is dict:
            parts.append(
                " ".join(["a number", " and ".join(bounds), "for each expert that is named"]).replace("  ", " ")
            )
        else:
            parts.append(" ".join([words.get(choice, str(choice)), " and ".join(bounds)]).strip())
    return " or ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def nearest(name: str, known: list[str]) -> str:
    """A hint that names the nearest of the `known` names, or all of them when none is near."""
    close = difflib.get_close_matches(name.lower(), known, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
