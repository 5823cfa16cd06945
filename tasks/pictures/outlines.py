"""Outlines in few letters: to a tenth of a point, each place as a step from the one before."""

import re
from collections.abc import Iterable

TENTHS = 10
TOKEN = re.compile(r"[A-Za-z]|-?\d+\.?\d*(?:e-?\d+)?")
CURVES_IN_CIRCLE = 8
"""So many curves matplotlib draws a circle of."""


def rounded(value: float, digits: int = 1) -> str:
    """A number to a tenth, without what can be left out."""
    return compact(f"{round(value, digits) + 0.0:.{digits}f}")


def compact(number: str) -> str:
    """A decimal without zeros at its ends."""
    number = number.rstrip("0").rstrip(".") if "." in number else number
    return re.sub(r"^(-?)0\.", r"\1.", number)


def outline(data: str) -> tuple[str, dict[str, str]]:
    """A path element's data, shortened."""
    return "path", {"d": shortened(commands(data))}


def marker(data: str, x: float, y: float) -> tuple[str, dict[str, str]]:
    """A marker's outline in its place: a circle as such, any other as a path."""
    found = list(commands(data))
    if sum(letter == "C" for letter, _ in found) == CURVES_IN_CIRCLE:
        across = [place for _, places in found for place in places[::2]]
        return "circle", {"cx": rounded(x), "cy": rounded(y), "r": rounded((max(across) - min(across)) / 2)}
    moved = ((letter, [p + (y if odd % 2 else x) for odd, p in enumerate(places)]) for letter, places in found)
    return "path", {"d": shortened(moved)}


def commands(data: str) -> Iterable[tuple[str, list[float]]]:
    """The commands of a path with their coordinates, which matplotlib writes from the picture's corner on."""
    letter, places = "", list[float]()
    for token in TOKEN.findall(data):
        if token.isalpha():
            if letter:
                yield letter, places
            letter, places = token, []
        else:
            places.append(float(token))
    if letter:
        yield letter, places


def shortened(found: Iterable[tuple[str, list[float]]]) -> str:
    """Path data in whole tenths from place to place, so that roundings do not add up."""
    written, last = list[str](), ""
    at = start = (0, 0)
    for letter, places in found:
        if letter in "zZ":
            written.append("z")
            at, last = start, "z"
            continue
        points = [(round(TENTHS * x), round(TENTHS * y)) for x, y in zip(places[::2], places[1::2], strict=True)]
        if letter == "L" and points[-1] == at:
            continue
        steps = [str_tenths(value) for x, y in points for value in (x - at[0], y - at[1])]
        same = letter == last and letter != "M"  # places after a first one would be drawn to
        written.append(("" if same else letter.lower()) + joined(steps, after=same))
        at, last = points[-1], letter
        start = at if letter == "M" else start
    return "".join(written)


def joined(numbers: list[str], *, after: bool) -> str:
    """Numbers side by side, with a space where no sign parts them; one before them too if they follow others."""
    text = "".join(number if number.startswith("-") else f" {number}" for number in numbers)
    return text if after else text.removeprefix(" ")


def str_tenths(value: int) -> str:
    """So many tenths as a decimal."""
    return compact(f"{value / TENTHS:.1f}")
