"""A benchmark's questions and every model's answers to them, as far as they are at hand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks import paths
from tasks.answers_file import Answer, read_answers
from tasks.reading.choose import asked, last_parts
from tasks.report.pairs.excerpts import Question, Reply, excerpt, reply
from wudi.errors import WudiError

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Answered:
    """One benchmark. Of all texts there are excerpts only: whole, those of real benchmarks are gigabytes."""

    benchmark: str
    questions: list[Question]
    """Without replies."""
    replies: Mapping[str, list[Reply]]
    """By model, a reply a question."""

    @property
    def right(self) -> Bools:
        """Models × questions: whether the model has it right."""
        return np.array([[reply.right for reply in replies] for replies in self.replies.values()], dtype=np.bool_)


def read_answered(benchmark: str, models: Sequence[str]) -> Answered | None:
    """A benchmark; None where not even two models have answered it.

    A model that was asked other questions than the first one is left out.
    """
    same: list[tuple[int, str, str]] = []
    questions: list[Question] = []
    replies: dict[str, list[Reply]] = {}
    for model in models:
        answers = at_hand(model, benchmark)
        if not same:
            same = [asked(answer) for answer in answers]
            questions = questions_of(answers)
        if answers and [asked(answer) for answer in answers] == same:
            replies[model] = [reply(answer) for answer in answers]
    return Answered(benchmark, questions, replies) if len(replies) > 1 else None


def at_hand(model: str, benchmark: str) -> list[Answer]:
    """A model's answers; none where there is no file of them that can be read."""
    try:
        return read_answers(paths.samples(model) / f"{benchmark}.jsonl.gz", "")
    except WudiError:
        return []


def questions_of(answers: Sequence[Answer]) -> list[Question]:
    """What was asked and expected, as one model was asked it."""
    parts = last_parts(answers)
    return [
        Question(
            number=answer.question,
            task=excerpt("task", answer.task),
            asked=excerpt("asked", parts[answer.question]),
            expected=excerpt("expected", answer.target),
        )
        for answer in answers
    ]
