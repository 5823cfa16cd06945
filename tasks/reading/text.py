"""What a model wrote as text that no terminal obeys and that fits on a page."""

import json
from typing import Any

LONGEST = 2000
"""Letters of one text that are shown unless all are asked for."""


def as_text(value: Any) -> str:
    """A field of an answer: text as it is, a list of one as its only item, everything else as JSON."""
    if isinstance(value, list) and len(value) == 1:
        return as_text(value[0])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def harmless(text: str) -> str:
    r"""The text with every letter that prints nothing of its own spelt out: an escape becomes the four letters \x1b.

    Control characters move the cursor, direction marks turn lines round, and others are invisible.
    """
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(
        letter if letter in "\n\t" or letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text.replace("\r\n", "\n")
    )


def shown(value: Any, *, full: bool) -> str:
    """A field of an answer for the eye, cut where it is very long unless all of it is asked for."""
    text = as_text(value).strip("\n")
    left_out = len(text) - LONGEST
    if full or left_out <= 0:
        return harmless(text)
    return f"{harmless(text[:LONGEST])}\n[{left_out} more characters; --full shows them]"


def shortened(value: Any, most: int) -> str:
    """A field of an answer for the eye, without its middle where it has more letters than `most`."""
    text = as_text(value).strip("\n")
    left_out = len(text) - most
    if left_out <= 0:
        return harmless(text)
    tail = most // 3
    return f"{harmless(text[: most - tail])}\n[{left_out} characters left out]\n{harmless(text[-tail:])}"
