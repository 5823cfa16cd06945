"""Questions and answers as the report shows them: safe to look at, and without the middle of long texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.answers_file import Answer
from tasks.reading.parts import parts, verdict
from tasks.reading.text import shortened

LONGEST = {"asked": 600, "answered": 600}
"""Letters of a text that are shown, by its label."""
LONGEST_OTHER = 240


@dataclass(frozen=True)
class Reply:
    """One model's answer to a question."""

    right: bool
    verdict: str
    parts: tuple[tuple[str, str], ...]
    """Its texts, each with its label."""


@dataclass(frozen=True)
class Question:
    """One question and what models answered."""

    number: int
    task: str
    asked: str
    expected: str
    replies: Mapping[str, Reply] = field(default_factory=dict)
    """By model."""


def reply(answer: Answer) -> Reply:
    """An answer's excerpt."""
    whole = parts(answer, lambda value: value)
    return Reply(answer.right, verdict(answer), tuple((label, excerpt(label, text)) for label, text in whole))


def excerpt(label: str, text: Any) -> str:
    """A text of an answer or of a question, up to the length that its label has."""
    return shortened(text, LONGEST.get(label, LONGEST_OTHER))


def size(texts: Sequence[Any]) -> int:
    """How many bytes of the page texts take."""
    from jinja2.utils import htmlsafe_json_dumps

    return len(htmlsafe_json_dumps(texts))
