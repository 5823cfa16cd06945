"""Logarithmic axes: where their numbers stand, and how these are written."""

import math

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
NEAREST = 0.12
"""A time at an axis takes so much of its length."""
MOST = 6
"""So many numbers at an axis are easy to read."""


def decades(low: float, high: float) -> list[float]:
    """Powers of ten between two numbers, some at even distances; 1, 2 and 5 of each where they are few."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first >= 2:
        stride = -(-(last - first + 1) // MOST)
        return [10.0**power for power in range(first, last + 1, stride)]
    finer = [digit * 10.0**power for power in range(first - 1, last + 1) for digit in (1, 2, 5)]
    return [value for value in finer if low <= value <= high]


def in_digits(value: float) -> str:
    """A number in a few digits, very large and very small ones with a power of ten: `0.02`, `10⁻⁶`, `3.2·10⁵`."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.4g}"
    digits, power = f"{value:.1e}".split("e")
    raised = f"10{str(int(power)).translate(SUPERSCRIPTS)}"
    digits = digits.removesuffix(".0")
    return raised if digits == "1" else f"{digits}·{raised}"


TIMES = (
    *(digit * 10.0**power for power in (-2, -1) for digit in (1, 3)),
    *(1, 3, 10, 30, 60, 180, 600, 1800, 3600, 3 * 3600, 10 * 3600, 24 * 3600, 3 * 24 * 3600, 10 * 24 * 3600),
)


def times(low: float, high: float) -> list[float]:
    """Times between two in round numbers of seconds, minutes, hours or days, so far apart that they can be read."""
    found = list[float]()
    for value in TIMES:
        if low <= value <= high and (not found or math.log(value / found[-1]) >= NEAREST * math.log(high / low)):
            found.append(value)
    return found if len(found) > 1 else decades(low, high)


def in_seconds(value: float) -> str:
    """A time in the unit that one would say it in."""
    for unit, seconds in (("d", 86400), ("h", 3600), ("min", 60)):
        if value >= seconds:
            return f"{value / seconds:.3g} {unit}"
    return f"{value:.3g} s"
