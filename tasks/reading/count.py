"""Right and wrong in numbers: by task, between two models, and the kinds of failure of programs."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tasks.answers_file import Answer
from tasks.reading.choose import Entry


@dataclass(frozen=True)
class Count:
    """The questions of one lm-eval task, or of all."""

    task: str
    questions: int
    right: Mapping[str, int]
    """By model."""
    gained: int
    """Right by the first of two models alone; of one model, 0."""
    lost: int
    """Right by the second of two models alone."""
    failures: Mapping[str, Mapping[str, int]]
    """Model -> kind of failure of its programs -> how many, the most frequent first."""


def counts_of(entries: Sequence[Entry]) -> list[Count]:
    """A count for each lm-eval task, and a last one of all of them where there are several."""
    tasks: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        tasks[entry.first.task].append(entry)
    counts = [count(task, group) for task, group in tasks.items()]
    return [*counts, count("all", entries)] if len(counts) > 1 else counts


def count(task: str, entries: Sequence[Entry]) -> Count:
    """The count of these entries."""
    verdicts = Counter(entry.right for entry in entries)
    models = list(entries[0].answers) if entries else []
    return Count(
        task=task,
        questions=len(entries),
        right={model: sum(entry.answers[model].right for entry in entries) for model in models},
        gained=verdicts[True, False],
        lost=verdicts[False, True],
        failures={model: dict(kinds(entry.answers[model] for entry in entries).most_common()) for model in models},
    )


def kinds(answers: Iterator[Answer]) -> Counter[str]:
    """How many programs failed in which way; answers without a word on it are in none."""
    return Counter(kind(answer.detail) for answer in answers if answer.detail and not answer.right)


def kind(detail: str) -> str:
    """`timed_out: no end within 10 s` -> `timed_out`, and of an exception its name too: `failed: NameError`."""
    outcome, _, reason = detail.partition(": ")
    exception = reason.split(":")[0]
    return f"{outcome}: {exception}" if outcome == "failed" and exception.isidentifier() else outcome
