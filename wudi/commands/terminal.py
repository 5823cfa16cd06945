"""What a command shows while it works."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any


def bar(items: Sequence[Any], description: str) -> Iterable[Any]:
    """A bar with an estimate where someone looks on; tqdm comes with transformers."""
    if not sys.stderr.isatty():
        return items
    from tqdm import tqdm

    bars: Iterable[Any] = tqdm(items, desc=description, unit="tensor", leave=False)
    return bars


def say(line: str) -> None:
    """Tell one line of what is done, apart from the result."""
    print(line, file=sys.stderr)
