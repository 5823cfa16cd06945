"""Answers on disk, batch by batch: one SQLite file a model, in the cache folder."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batches (key TEXT PRIMARY KEY, answers TEXT NOT NULL, batch_size INTEGER);
"""


@dataclass(frozen=True)
class KeptAnswers:
    """The finished batches of one model; each is there whole or not at all."""

    database: sqlite3.Connection

    def find(self, key: str) -> tuple[list[Any], int | None] | None:
        """A batch's answers and the batch size that they were computed with; None where it was not finished."""
        row = self.database.execute("SELECT answers, batch_size FROM batches WHERE key = ?", (key,)).fetchone()
        return None if row is None else (json.loads(row[0]), row[1])

    def keep(self, key: str, answers: Sequence[Any], batch_size: int | None) -> None:
        """Put a finished batch on disk."""
        with self.database:
            self.database.execute(
                "INSERT OR REPLACE INTO batches VALUES (?, ?, ?)", (key, json.dumps(answers), batch_size)
            )

    def about(self, key: str) -> str | None:
        """What was noted about these answers."""
        row = self.database.execute("SELECT value FROM about WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def note(self, key: str, value: str) -> None:
        """Note something about these answers."""
        with self.database:
            self.database.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (key, value))

    def forget(self) -> None:
        """Drop everything."""
        with self.database:
            self.database.execute("DELETE FROM batches")
            self.database.execute("DELETE FROM about")


@contextmanager
def kept_answers(path: Path, model: Mapping[str, Any], protocol: Mapping[str, Any]) -> Iterator[KeptAnswers]:
    """The answers that an earlier run left, as far as they are this model's.

    They stay after the evaluation, so that one more benchmark or another metric costs no answer twice. Only a run that
    changes nothing, after one that was complete, starts afresh: who forces that wants to see it computed again.

    Args:
        path: The file.
        model: What decides answers beside the requests: weights, backend, device, versions.
        protocol: The settings of the whole evaluation.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(opened(path)) as database:
        kept = KeptAnswers(database)
        identity, wanted = (json.dumps(values, sort_keys=True) for values in (model, protocol))
        if kept.about("model") != identity or kept.about("complete") == wanted:
            kept.forget()
            kept.note("model", identity)
        yield kept
        kept.note("complete", wanted)


def opened(path: Path) -> sqlite3.Connection:
    """A connection to the file; one that is no database any more is begun anew, since it is a cache."""
    try:
        return connected(path)
    except sqlite3.DatabaseError:
        path.unlink()
        return connected(path)


def connected(path: Path) -> sqlite3.Connection:
    """A connection to a file with both tables."""
    database = sqlite3.connect(path)
    try:
        database.executescript(SCHEMA)
    except sqlite3.DatabaseError:
        database.close()
        raise
    return database
