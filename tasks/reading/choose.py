"""Which questions are looked at: all, by verdict, by number, or where two models differ."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tasks.answers_file import Answer
from tasks.reading.prompts import questions_of
from wudi.errors import WudiError


@dataclass(frozen=True)
class Entry:
    """One question and the answers of one model or of two to it, by model: the one in question first."""

    question: str
    """The prompt's last part, as `questions_of` cuts it."""
    answers: Mapping[str, Answer]

    @property
    def first(self) -> Answer:
        """The answer of the model in question."""
        return next(iter(self.answers.values()))

    @property
    def right(self) -> tuple[bool, ...]:
        """Whether each model's answer is right."""
        return tuple(answer.right for answer in self.answers.values())

    @property
    def prompts_differ(self) -> bool:
        """Whether the models were asked the question in other words, or with other examples before it."""
        return len({answer.prompt for answer in self.answers.values()}) > 1


Rule = Callable[[Entry], bool]

RULES: Mapping[str, tuple[str, Rule]] = {
    "wrong": ("wrong", lambda entry: not entry.right[0]),
    "right": ("right", lambda entry: entry.right[0]),
    "differ": ("right by one of the two", lambda entry: entry.right in ((True, False), (False, True))),
    "gained": ("right by {0}, wrong by {1}", lambda entry: entry.right == (True, False)),
    "lost": ("wrong by {0}, right by {1}", lambda entry: entry.right == (False, True)),
}
"""Name of the option -> what it leaves, in words, and whether an entry is among it."""

OF_TWO = ("differ", "gained", "lost")
"""The options that compare two models."""


def entries_of(answers: Mapping[str, Sequence[Answer]]) -> list[Entry]:
    """The questions of one benchmark with the answers of each model.

    Raises:
        WudiError: The models were asked different questions.
    """
    first, *others = answers
    for other in others:
        if [asked(answer) for answer in answers[first]] != [asked(answer) for answer in answers[other]]:
            raise WudiError(
                f"{first} and {other} answered other questions, so they were evaluated by different settings; "
                f"evaluate both anew: dvc repro"
            )
    questions = last_parts(answers[first])
    rows = zip(*answers.values(), strict=True)
    return [Entry(questions[row[0].question], dict(zip(answers, row, strict=True))) for row in rows]


def asked(answer: Answer) -> tuple[int, str, str]:
    """What makes two answers answers to the same question."""
    return answer.question, answer.task, str(answer.target)


def last_parts(answers: Sequence[Answer]) -> dict[int, str]:
    """Question's number -> the part of its prompt that asks."""
    tasks: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        tasks[answer.task].append(answer)
    return {
        answer.question: question
        for group in tasks.values()
        for answer, question in zip(group, questions_of(answer.prompt for answer in group), strict=True)
    }


def chosen(entries: Sequence[Entry], rule: str | None, numbers: Sequence[int] | None) -> list[Entry]:
    """The entries of these numbers, in the order asked for, that a rule holds for.

    Raises:
        WudiError: There is no question of some number.
    """
    if numbers:
        by_number = {entry.first.question: entry for entry in entries}
        unknown = [number for number in numbers if number not in by_number]
        if unknown:
            known = f"takes {min(by_number)} to {max(by_number)}" if by_number else "there is none at all"
            raise WudiError(f"there is no question {unknown[0]}; {known}")
        entries = [by_number[number] for number in dict.fromkeys(numbers)]
    return [entry for entry in entries if rule is None or RULES[rule][1](entry)]
