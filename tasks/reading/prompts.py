"""The part of a prompt that asks: what is left when the instructions and the examples before it are cut."""

from collections.abc import Iterable, Sequence

PARAGRAPH = "\n\n"


def questions_of(prompts: Iterable[str]) -> list[str]:
    """Each prompt of one task without the paragraphs that they all begin with and without its own few-shot examples.

    Examples are paragraphs that begin with the same word as the prompt; the last such paragraph is the question. Where
    the prompts begin with different words, these are parts of the questions, and nothing is cut for them.
    """
    whole = list(prompts)
    # A lone prompt agrees with itself to the end.
    common = shared_start(whole) if len(set(whole)) > 1 else ""
    start = common.rfind(PARAGRAPH) + len(PARAGRAPH) if PARAGRAPH in common else 0
    rest = [prompt[start:] for prompt in whole]
    opening = first_word(shared_start(rest))
    return [last_from(text, opening) for text in rest]


def shared_start(texts: Sequence[str]) -> str:
    """The letters that all texts begin with."""
    low, high = min(texts), max(texts)
    length = next((place for place, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    return low[:length]


def first_word(text: str) -> str:
    """The first word, if a space or the line's end shows it to be whole."""
    word = text.split(maxsplit=1)[:1]
    return word[0] if word and text.startswith(word[0]) and len(text) > len(word[0]) else ""


def last_from(text: str, opening: str) -> str:
    """The text from the last paragraph that begins with these letters, or all of it."""
    place = text.rfind(PARAGRAPH + opening) if opening else -1
    return text if place < 0 else text[place + len(PARAGRAPH) :]
