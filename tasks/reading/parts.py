"""What there is to read of one answer: its labelled texts, and its verdict in a word."""

from collections.abc import Callable, Iterator
from typing import Any

from tasks.answers_file import Answer
from tasks.reading.text import as_text, harmless


def parts(answer: Answer, shown: Callable[[Any], str]) -> Iterator[tuple[str, str]]:
    """The labelled texts of an answer; what was extracted only where it says more than the answer does.

    Args:
        answer: The answer.
        shown: Makes a field of it safe to look at, and as long as there is room for.
    """
    generation, extracted = as_text(answer.generation), as_text(answer.extracted)
    if answer.generation is not None:
        yield "answered", shown(generation)
    if extracted.strip() not in (generation.strip(), (answer.prompt + generation).strip()):
        yield "extracted", shown(extracted)
    if answer.loglikelihoods:
        yield "log-likelihoods", ", ".join(f"{value:.4g}" for value in answer.loglikelihoods)
    if answer.detail:
        yield "program", shown(answer.detail)
    if len(answer.verdicts) > 1:
        yield "judged", harmless("; ".join(f"{name} {value:g}" for name, value in answer.verdicts.items()))


def verdict(answer: Answer) -> str:
    """Right, wrong, or what part of the marks."""
    if answer.right:
        return "right"
    return f"wrong ({answer.correct:g} of 1)" if answer.correct else "wrong"
