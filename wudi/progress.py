"""How long work tells of its progress without knowing who listens."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

Track = Callable[[Sequence[Any], str], Iterable[Any]]
"""`track(items, description)` yields the items and may show a bar with an estimate, as `rich.progress.track` does."""


def silent(items: Sequence[Any], description: str) -> Iterable[Any]:  # noqa: ARG001
    """Yield `items` and show nothing: the default of every function that takes a `Track`."""
    return items


Say = Callable[[str], None]
"""Tells one line of what is done."""


def mute(line: str) -> None:
    """Tell nobody: the default of every function that takes a `Say`."""
