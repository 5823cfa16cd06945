"""How right a model was on each question, remembered by the md5 of its answers: reading prompts again takes long."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tasks.answers_file import read_answers
from tasks.leaderboard.answers import hashed

SCHEMA = "CREATE TABLE IF NOT EXISTS verdicts_1 (md5 TEXT PRIMARY KEY, tasks TEXT NOT NULL, rows BLOB NOT NULL)"
ROW = np.dtype([("task", "<i4"), ("question", "<i8"), ("correct", "<f8"), ("target", "<i8")])
Rows = npt.NDArray[np.void]


@dataclass(frozen=True)
class Verdicts:
    """A model's verdicts on a benchmark, in the order of (task, question)."""

    tasks: Sequence[str]
    rows: Rows
    """Of `ROW`: the position of the task, the question's number, how right the answer is, the right answer's hash."""

    @cached_property
    def questions(self) -> str:
        """What identifies the questions: two models with the same answered the same ones."""
        asked = [self.rows[column].tobytes() for column in ("task", "question", "target")]
        return blake2b(b"".join([json.dumps(list(self.tasks)).encode(), *asked]), digest_size=16).hexdigest()

    def same(self, other: "Verdicts") -> bool:
        """Whether all verdicts are the same."""
        return self is other or bool(np.array_equal(self.correct, other.correct))

    @property
    def correct(self) -> npt.NDArray[np.float64]:
        """How right each answer is."""
        return self.rows["correct"]

    @property
    def task_names(self) -> list[str]:
        """The task of each question."""
        return [self.tasks[position] for position in self.rows["task"]]


class Memory:
    """Verdicts by the md5 of the file that they were read from.

    They are kept in a database, which may be deleted at any time; one that cannot be used, such as one that another
    process does not let go of, is done without from then on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, Verdicts] = {}

    def read(self, md5: str, file: Path) -> Verdicts | None:
        """The verdicts in a file of answers of this md5; None where it is not at hand.

        Raises:
            WudiError: The file is broken.
        """
        if md5 not in self._known:
            found = self._recall(md5)
            if found is None and file.is_file():
                found = self._keep(md5, parsed(file))
            if found is None:
                return None
            self._known[md5] = found
        return self._known[md5]

    @cached_property
    def _database(self) -> sqlite3.Connection | None:
        """The database, made on first use."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            database = sqlite3.connect(self._path, timeout=5, isolation_level=None)
            database.execute(SCHEMA)
            # what is lost by a power cut is read again
            database.execute("PRAGMA synchronous = OFF")
        except (OSError, sqlite3.Error):
            return None
        return database

    def _recall(self, md5: str) -> Verdicts | None:
        """What is kept of a file."""
        if self._database is None:
            return None
        try:
            with closing(self._database.execute("SELECT tasks, rows FROM verdicts_1 WHERE md5 = ?", (md5,))) as found:
                row = found.fetchone()
            return None if row is None else Verdicts(json.loads(row[0]), np.frombuffer(row[1], ROW))
        except sqlite3.Error:
            self._database = None
        except ValueError:
            pass
        return None

    def _keep(self, md5: str, verdicts: Verdicts) -> Verdicts:
        """Keep what was read of a file, if that can be."""
        if self._database is not None:
            values = (md5, json.dumps(list(verdicts.tasks)), verdicts.rows.tobytes())
            try:
                self._database.execute("INSERT OR REPLACE INTO verdicts_1 VALUES (?, ?, ?)", values)
            except sqlite3.Error:
                self._database = None
        return verdicts


def parsed(file: Path) -> Verdicts:
    """The verdicts in a file of answers.

    Raises:
        WudiError: The file is broken.
    """
    answers = read_answers(file, "get it anew with: dvc fetch --all-tags, or dvc repro --force its evaluation")
    tasks = sorted({answer.task for answer in answers})
    position = {task: number for number, task in enumerate(tasks)}
    rows = [(position[answer.task], answer.question, answer.correct, hashed(answer.target)) for answer in answers]
    return Verdicts(tasks, np.array(sorted(rows), ROW))
