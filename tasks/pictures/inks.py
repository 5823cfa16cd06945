"""The colours of the pictures by name; pictures.css is the only place where they are written."""

import re
from functools import cache
from pathlib import Path

STYLES = Path(__file__).with_name("pictures.css")
LOWS, HIGHS = 6, 6
"""The steps of blue: text in `ink` is easy to read on a low one, text in `paper` on a high one, in both schemes."""
BELOW_LOWS, BELOW_HIGHS = 2, 3
"""The steps of red, for numbers below 0, likewise."""
LINES = 8
"""Lines told apart by their colours, also by people who see colours otherwise (after Okabe and Ito)."""


@cache
def schemes() -> tuple[dict[str, str], dict[str, str]]:
    """The inks of the light scheme and those of the dark one, name -> #rrggbb."""
    light, dark = STYLES.read_text(encoding="utf-8").split("@media", 1)
    pattern = r"--plot-([\w-]+): (#[0-9a-f]{6});"
    return dict(re.findall(pattern, light)), dict(re.findall(pattern, dark))


def ink(name: str) -> str:
    """A colour in the light scheme, which PNG files have."""
    return schemes()[0][name]


def variable(colour: str) -> str:
    """The CSS variable of a colour of the light scheme.

    Raises:
        KeyError: It is none of the inks, so nobody would know what it is in the dark.
    """
    return f"var(--plot-{_names()[colour.lower()]})"


@cache
def _names() -> dict[str, str]:
    return {colour: name for name, colour in schemes()[0].items()}


def step(value: float, top: float) -> tuple[str, str]:
    """The ink of a cell and that of the number in it: blue from 0 to `top`, red from 0 down to `-top`."""
    share = min(abs(value) / top, 1.0) if top else 0.0
    sign, lows, highs = ("", LOWS, HIGHS) if value >= 0 else ("below-", BELOW_LOWS, BELOW_HIGHS)
    place = min(int(share * (lows + highs)), lows + highs - 1)
    if place < lows:
        return ink(f"{sign}low-{place}"), ink("ink")
    return ink(f"{sign}high-{place - lows}"), ink("paper")
