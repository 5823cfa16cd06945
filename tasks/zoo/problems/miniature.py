"""What the four miniatures have in common: documents drawn from a seed, and a train and a test half that never meet."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Literal
from zlib import crc32

Document = dict[str, Any]
"""One problem as a row of an lm-eval dataset."""

Split = Literal["train", "test"]

TRAIN_DOCUMENTS = 400
"""Rows of the train split that lm-eval sees: it draws few-shot examples from them and never scores them."""

TEST_DOCUMENTS = 200
"""Rows of the test split: every score of the zoo is a share of these."""


@dataclass(frozen=True, kw_only=True)
class Miniature:
    """A family of generated problems in the form of one benchmark.

    Training reads `prompt` and `answer`; the evaluation reads the templates in the YAML file of the lm-eval task. A
    test holds both to the same text, because a model trained on another form would be measured on form, not on skill.
    """

    name: str
    """The benchmark it stands for."""

    shots: int
    """Solved examples before the problem."""

    draw: Callable[[Random], Document]
    """Draws one problem, from either half of the problem space."""

    question: Callable[[Document], str]
    """What makes a problem this problem: two documents with the same question belong to the same half."""

    prompt: Callable[[Document], str]
    """What the model reads."""

    answer: Callable[[Document], str]
    """What it should write, up to where the evaluation stops it."""

    def split_of(self, document: Document) -> Split:
        """Assign a fifth of the problem space to the test half, by a hash of the question and so for ever."""
        return "test" if crc32(self.question(document).encode()) % 5 == 0 else "train"

    def documents(self, split: Split, count: int, seed: int = 0) -> list[Document]:
        """Draw `count` problems of one half, all with different prompts."""
        random = Random(f"{self.name} {split} {seed}")
        found: dict[str, Document] = {}
        for _ in range(100 * count):
            document = self.draw(random)
            if self.split_of(document) == split:
                found.setdefault(self.prompt(document), document)
            if len(found) == count:
                return list(found.values())
        raise RuntimeError(f"{self.name} has no {count} different {split} problems")
