"""Answers on disk, batch by batch: one SQLite file a model, in the cache folder."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wudi.errors import WudiError

SCHEMA = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batches (key TEXT PRIMARY KEY, answers TEXT NOT NULL, batch_size INTEGER);
"""
PATIENCE = 60.0
"""Seconds to wait for another evaluation that is writing."""
DAMAGED = ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_ERROR")
"""What SQLite says of a file that is none of its own, is damaged, or has other tables."""


@dataclass(frozen=True)
class KeptAnswers:
    """The finished batches of one model; each is there whole or not at all."""

    path: Path
    database: sqlite3.Connection

    def find(self, key: str) -> tuple[list[Any], int | None] | None:
        """A batch's answers and the batch size that they were computed with; None where it was not finished."""
        row = self._run("SELECT answers, batch_size FROM batches WHERE key = ?", key)
        return None if row is None else (json.loads(row[0]), row[1])

    def keep(self, key: str, answers: Sequence[Any], batch_size: int | None) -> None:
        """Put a finished batch on disk."""
        self._run("INSERT OR REPLACE INTO batches VALUES (?, ?, ?)", key, json.dumps(answers), batch_size)

    def about(self, key: str) -> str | None:
        """What was noted about these answers."""
        row = self._run("SELECT value FROM about WHERE key = ?", key)
        return None if row is None else str(row[0])

    def note(self, key: str, value: str) -> None:
        """Note something about these answers."""
        self._run("INSERT OR REPLACE INTO about VALUES (?, ?)", key, value)

    def forget(self) -> None:
        """Drop everything."""
        self._run("DELETE FROM batches")
        self._run("DELETE FROM about")

    def _run(self, statement: str, *values: object) -> tuple[Any, ...] | None:
        with told(self.path), self.database:
            row: tuple[Any, ...] | None = self.database.execute(statement, values).fetchone()
        return row


@contextmanager
def kept_answers(path: Path, model: Mapping[str, Any], protocol: Mapping[str, Any]) -> Iterator[KeptAnswers]:
    """The answers that an earlier run left, as far as they are this model's.

    They stay after the evaluation, so that one more benchmark or another metric costs no answer twice. Only a run that
    changes nothing, after one that was complete, starts afresh: who forces that wants to see it computed again.

    Args:
        path: The file.
        model: What decides answers beside the requests: weights, settings, backend, device, versions.
        protocol: The settings of the whole evaluation.

    Raises:
        WudiError: The file cannot be read or written.
    """
    with closing(opened(path)) as database:
        kept = KeptAnswers(path, database)
        identity, wanted = (json.dumps(values, sort_keys=True) for values in (model, protocol))
        if kept.about("model") != identity or kept.about("complete") == wanted:
            kept.forget()
            kept.note("model", identity)
        yield kept
        kept.note("complete", wanted)


def opened(path: Path) -> sqlite3.Connection:
    """A connection to the file; one that is no such database any more is begun anew, since it is a cache."""
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return connected(path)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorname", "SQLITE_CORRUPT") not in DAMAGED:
                raise
        path.unlink()
        return connected(path)


def connected(path: Path) -> sqlite3.Connection:
    """A connection to a file that is whole and has both tables."""
    database = sqlite3.connect(path, timeout=PATIENCE)
    try:
        database.executescript(SCHEMA)
        database.execute("SELECT key, answers, batch_size FROM batches LIMIT 1")
        database.execute("SELECT key, value FROM about LIMIT 1")
        if database.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("damaged")
    except sqlite3.DatabaseError:
        database.close()
        raise
    return database


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Make one error of what the file system and SQLite have against the file.

    Raises:
        WudiError: A full disk, missing rights, another process that does not let go.
    """
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise WudiError(f"{path}: answers cannot be kept there ({error}); see to the disk and its rights") from None
