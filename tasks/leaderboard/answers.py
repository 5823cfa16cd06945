"""What the models answered, question by question, as a pandas table."""

import json
from collections.abc import Collection, Iterable, Mapping
from hashlib import blake2b
from pathlib import Path

import pandas as pd

from tasks import paths
from tasks.answers_file import read_answers
from tasks.leaderboard.load import remedy, stage
from wudi.errors import WudiError


def load_answers(
    kinds: Mapping[str, str], benchmarks: Iterable[str], measured: Collection[tuple[str, str]] | None = None
) -> pd.DataFrame:
    """Read how right each model was on each question: rows (benchmark, task, question), a column a model.

    Args:
        kinds: Model name -> base, expert or recipe.
        benchmarks: What every model has answered.
        measured: Of a partial leaderboard the scores, (model, benchmark), whose answers are read as far as they are
            there; a model without answers to a benchmark is blank there, and one without any has no column.

    Raises:
        WudiError: A file is missing or broken, or two models answered different questions.
    """
    tables = {}
    for benchmark in benchmarks:
        answers: dict[str, pd.DataFrame] = {}
        for name, kind in kinds.items():
            if measured is None or ((name, benchmark) in measured and samples_of(name, benchmark).is_file()):
                answers[name] = answers_to(name, kind, benchmark)
                check_questions(answers, name, kinds)
        if answers:
            tables[benchmark] = pd.DataFrame({name: answers[name]["correct"] for name in answers})
    if not tables:
        return pd.DataFrame(index=pd.MultiIndex.from_arrays([[], [], []], names=["benchmark", "task", "question"]))
    table = pd.concat(tables, names=["benchmark"])
    return table[[name for name in kinds if name in table]]


def check_questions(answers: Mapping[str, pd.DataFrame], name: str, kinds: Mapping[str, str]) -> None:
    """All models answer the same questions, those of the first one."""
    other = next(iter(answers))
    if not answers[name]["target"].equals(answers[other]["target"]):
        both = f"{stage(kinds[other], other)} {stage(kinds[name], name)}"
        problem = f"answers other questions than {other} does"
        raise WudiError(f"{paths.samples(name)}: {problem}; make both again with: dvc repro --force {both}")


def samples_of(name: str, benchmark: str) -> Path:
    """The file of a model's answers on a benchmark."""
    return paths.samples(name) / f"{benchmark}.jsonl.gz"


def answers_to(name: str, kind: str, benchmark: str) -> pd.DataFrame:
    """One model's answers on one benchmark by (task, question) in ascending order: how right, and the target's hash.

    Questions of the same number with different right answers are different questions.
    """
    answers = read_answers(samples_of(name, benchmark), remedy(kind, name))
    rows = [(answer.task, answer.question, answer.correct, hashed(answer.target)) for answer in answers]
    table = pd.DataFrame(rows, columns=["task", "question", "correct", "target"])
    return table.set_index(["task", "question"]).sort_index()


def hashed(target: object) -> int:
    """A number for a right answer, the same in every process."""
    text = json.dumps(target, sort_keys=True)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)
