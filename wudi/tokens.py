"""What the tokenizers of a base and its experts say of the rows of their embeddings and heads."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch

from wudi.alignment import Alignment, align
from wudi.architecture import roles
from wudi.checkpoint import Checkpoint
from wudi.experts import Expert
from wudi.fit import NEW_ROWS
from wudi.new_tokens import read_new_tokens
from wudi.vocabulary import ADDED_TOKENS, WITH_TOKENS, UnreadableTokenizer, Vocabulary, read_vocabulary
from wudi.vocabulary_tensors import vocabulary_tensors

Alignments = dict[str, Alignment]
"""By tensor of the vocabulary, of one expert; those in which nothing can differ are left out."""


class Tokens:
    """The base's vocabulary, and how its experts' lie to it."""

    def __init__(self, base: Checkpoint) -> None:
        self.base = base
        self.notes: list[str] = []
        """What was taken for granted, in words."""

    @cached_property
    def tables(self) -> tuple[str, ...]:
        """The tensors with a row for each token."""
        return vocabulary_tensors(self.base.tensors, roles(self.base), self.base.config)

    @cached_property
    def vocabulary(self) -> Vocabulary | None:
        """The base's tokens; None where it has no tokenizer."""
        return None if self.base.folder is None else read_vocabulary(self.base.folder)

    def alignments(self, expert: Expert) -> Alignments:
        """How an expert's rows lie to the base's.

        Raises:
            WudiError: Other numbers of rows, and no tokenizer to tell why.
        """
        if expert.is_task_vector:
            return self.of_task_vector(expert)
        if expert.is_factored or not self.might_differ(expert):
            return {}
        own = self.vocabulary_of(expert)
        counts = {table: self.rows_of(expert, table) for table in self.tables}
        return {
            table: align(self.vocabulary if own else None, self.rows(table), own, rows, name=expert.name)
            for table, rows in counts.items()
            if rows is not None
        }

    def of_task_vector(self, expert: Expert) -> Alignments:
        """How the rows of a task vector lie: those of the base, and then those of the tokens that it has not."""
        new = read_new_tokens(expert.checkpoint.folder)
        if not new:
            return {}
        found = {}
        for table in (name for name in self.tables if name + NEW_ROWS in expert.checkpoint.tensors):
            rows = self.rows(table)
            places = {token: rows + index for index, token in enumerate(new)}
            found[table] = Alignment(expert.name, rows, rows + len(new), torch.arange(rows), places, {}, {})
        return found

    def rows(self, table: str) -> int:
        """The number of rows in the base's file."""
        return self.base.tensors[table].shape[0]

    def rows_of(self, expert: Expert, table: str) -> int | None:
        """The number of rows of an expert's own tensor; None where it has none."""
        name = expert.fit.name(table)
        return None if name is None else expert.checkpoint.tensors[name].shape[0]

    def might_differ(self, expert: Expert) -> bool:
        """Whether there is a difference in the shapes or between the tokenizers' files."""
        ours, theirs = self.base.tensors, expert.checkpoint.tensors
        shapes = any(name in theirs and theirs[name].shape != info.shape for name, info in ours.items())
        return shapes or not same_tokenizer(self.base.folder, expert.checkpoint.folder)

    def vocabulary_of(self, expert: Expert) -> Vocabulary | None:
        """An expert's tokens; None where it has no tokenizer.

        One that only its own code or some package can read stands in no way as long as the numbers of rows are the
        base's; a note says so.

        Raises:
            WudiError: The tokenizer is damaged, or cannot be read and the rows are others.
        """
        if expert.is_task_vector:
            new = read_new_tokens(expert.checkpoint.folder)
            return Vocabulary({token: index for index, token in enumerate(new)}, new)
        folder = expert.checkpoint.folder
        try:
            return None if folder is None else read_vocabulary(folder)
        except UnreadableTokenizer as error:
            if any(self.rows_of(expert, table) not in (None, self.rows(table)) for table in self.tables):
                raise
            self.notes.append(f"expert {expert.name}: its rows are taken for those of the base's tokens; {error}")
            return None


def same_tokenizer(first: Path | None, second: Path | None) -> bool:
    """Whether two model folders have the same files of a tokenizer, byte by byte, or one of them has none."""
    if first is None or second is None:
        return True
    files = [{file.name: file for file in vocabulary_files(folder)} for folder in (first, second)]
    if not all(files):
        return True
    return files[0].keys() == files[1].keys() and all(
        files[0][name].read_bytes() == files[1][name].read_bytes() for name in files[0]
    )


def vocabulary_files(folder: Path) -> Sequence[Path]:
    """The files that name a tokenizer's tokens."""
    return sorted(file for pattern in (*WITH_TOKENS, ADDED_TOKENS) for file in folder.glob(pattern) if file.is_file())
