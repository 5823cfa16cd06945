"""A benchmark as the report has it: who is right on every question, and the texts of some."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tasks.report.pairs.answered import Answered, Bools
from tasks.report.pairs.excerpts import Question


@dataclass(frozen=True)
class Benchmark:
    """One benchmark."""

    name: str
    numbers: list[int]
    """Of all questions."""
    models: list[str]
    """Those whose answers are at hand."""
    right: Bools
    """Models × questions."""
    shown: Mapping[int, Question]
    """Some questions with the replies of some models, by the places of the questions, the most telling first."""

    def alone(self, first: str, second: str) -> list[int]:
        """The places of the questions that the first of two models has right, and the second has not."""
        one, other = (self.right[self.models.index(name)] for name in (first, second))
        return [int(place) for place in np.flatnonzero(one & ~other)]


def benchmark_of(answered: Answered, chosen: Mapping[int, Sequence[str]]) -> Benchmark:
    """A benchmark with the texts of the chosen questions, each with the replies of its models."""
    return Benchmark(
        name=answered.benchmark,
        numbers=[question.number for question in answered.questions],
        models=list(answered.replies),
        right=answered.right,
        shown={
            place: replace(
                answered.questions[place], replies={model: answered.replies[model][place] for model in models}
            )
            for place, models in chosen.items()
        },
    )
