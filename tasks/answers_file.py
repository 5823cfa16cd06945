"""A model's answers, a compressed file of JSON lines for each benchmark: samples/NAME/BENCHMARK.jsonl.gz."""

import gzip
import json
import math
import shutil
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from wudi.errors import WudiError


@dataclass(frozen=True)
class Answer:
    """One question, what the model answered, and how it was judged: one line of the file."""

    question: int
    """Its number in the file, from 0; the same for every model of the same evaluation."""
    task: str
    """The lm-eval task, which is one of several where the benchmark is a group."""
    prompt: str
    generation: Any
    """What the model wrote, or the likeliest of the choices; None where it is asked for a likelihood alone."""
    extracted: Any
    """What the task's filter made of it; a list where several answers are allowed."""
    target: Any
    correct: float
    verdicts: Mapping[str, float] = field(default_factory=dict)
    """By `metric,filter`, also those that do not count; empty in files from before they were kept."""
    detail: str | None = None
    """Why a program failed."""
    loglikelihoods: Sequence[float] = ()
    """Of the choices, where there are some."""

    @property
    def right(self) -> bool:
        """Whether the answer has full marks."""
        return self.correct >= 1

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """One line's object.

        Raises:
            KeyError, TypeError, ValueError: It is no answer.
        """
        correct = float(values["correct"])
        if not math.isfinite(correct):
            raise ValueError("`correct` is no finite number")
        return cls(
            question=int(values["question"]),
            task=str(values["task"]),
            prompt=str(values["prompt"]),
            generation=values["generation"],
            extracted=values["extracted"],
            target=values["target"],
            correct=correct,
            verdicts={str(name): float(verdict) for name, verdict in (values.get("verdicts") or {}).items()},
            detail=None if values.get("detail") is None else str(values["detail"]),
            loglikelihoods=[float(value) for value in values.get("loglikelihoods") or ()],
        )


def write_answers(folder: Path, answers: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Write the files of a model, which appear together; without a time stamp, so that equal answers give equal bytes.

    Args:
        folder: The model's.
        answers: The lines of each benchmark. Letters beyond ASCII are spelt out, since what a server sent may hold
            halves of letters, which no encoding takes.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for benchmark, lines in answers.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (partial / f"{benchmark}.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def read_answers(path: Path, remedy: str) -> list[Answer]:
    """Every answer of a file, in the order of the questions.

    Args:
        path: The file.
        remedy: How it is mended when it is missing or broken: the end of the sentence.

    Raises:
        WudiError: The file is missing or broken.
    """
    answers: list[Answer] = []
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            answers.extend(Answer.parse(json.loads(line)) for line in lines)
    except FileNotFoundError:
        raise WudiError(f"{path}: not found; {remedy}") from None
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WudiError(f"{path}: not a samples file (line {len(answers) + 1}: {error!r}); {remedy}") from None
    if len({answer.question for answer in answers}) < len(answers):
        raise WudiError(f"{path}: not a samples file (questions of one number); {remedy}")
    return answers
