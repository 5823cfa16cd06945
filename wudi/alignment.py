"""Which row of an expert's embeddings belongs to which row of the base's: the one of the same token."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from wudi.errors import WudiError
from wudi.vocabulary import Vocabulary

Policy = Literal["error", "base", "union"]
"""What becomes of an expert with other tokens than the base's: it is refused, they are dropped, or they are added."""
SHOWN = 3
"""Tokens of one kind that are named; further ones are counted."""
NONE = -1
"""Stands in `rows` where the expert has no row for a token."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """How an expert's rows lie to the base's."""

    name: str
    base_rows: int
    expert_rows: int
    rows: Tensor
    """For each row of the base the expert's row of the same token, or `NONE`."""
    new: Mapping[str, int]
    """The tokens that the base has not, by the expert's row."""
    lacking: Mapping[str, int]
    """The tokens that the expert has not, by the base's row."""
    moved: Mapping[str, tuple[int, int]]
    """The tokens at different rows: the expert's and the base's."""

    @property
    def is_identity(self) -> bool:
        """Whether every row of the one belongs to the same row of the other."""
        return self.base_rows == self.expert_rows and not (self.new or self.lacking or self.moved)

    @property
    def only_padding(self) -> bool:
        """Whether the tokens are the base's, and the number of rows is not."""
        return self.base_rows != self.expert_rows and not (self.new or self.lacking or self.moved)

    def lines(self) -> list[str]:
        """What differs, in words; nothing for the identity."""
        if self.only_padding:
            more = self.expert_rows - self.base_rows
            rows = "row" if abs(more) == 1 else "rows"
            return [f"{abs(more)} {'more' if more > 0 else 'fewer'} {rows} of padding, no token differs"]
        new = [f"{token!r} (row {row})" for token, row in self.new.items()]
        lacking = [f"{token!r} (row {row} of the base)" for token, row in self.lacking.items()]
        moved = [f"{token!r} (row {there} there, {here} in the base)" for token, (there, here) in self.moved.items()]
        return [
            *counted(new, "is not in the base", "are not in the base"),
            *counted(lacking, "is not there", "are not there"),
            *counted(moved, "is at another row", "are at other rows"),
        ]

    def describe(self) -> str:
        """What differs, in one line: the numbers of rows where these do, then the tokens; empty for the identity."""
        counts = f"{self.expert_rows} rows against the base's {self.base_rows}: "
        return (counts if self.base_rows != self.expert_rows else "") + "; ".join(self.lines())


def counted(named: Sequence[str], one: str, several: str) -> list[str]:
    """A phrase about some tokens: the first ones by name, and how many more there are."""
    if len(named) <= 1:
        return [f"token {name} {one}" for name in named]
    more = [f"{len(named) - SHOWN} more"] if len(named) > SHOWN else []
    *first, last = [*named[:SHOWN], *more]
    return [f"tokens {', '.join(first)} and {last} {several}"]


def align(
    base: Vocabulary | None, base_rows: int, expert: Vocabulary | None, expert_rows: int, *, name: str = "expert"
) -> Alignment:
    """Find the expert's row of every token of the base.

    A row that no token of the base has is padding, and belongs to the same row of the expert if it is padding there
    too. Where a model has no tokenizer, equal numbers of rows are taken for the same tokens. `name` is the expert's.

    Raises:
        WudiError: Different numbers of rows, and a model without a tokenizer.
    """
    if base is None or expert is None:
        if base_rows != expert_rows:
            raise without_tokenizer(name, base_rows, expert_rows, "the base" if base is None else "the expert")
        return Alignment(name, base_rows, expert_rows, torch.arange(base_rows), {}, {}, {})
    ours, theirs = base.within(base_rows), expert.within(expert_rows)
    used = set(theirs.values())
    rows = [row if row < expert_rows and row not in used else NONE for row in range(base_rows)]
    for token, row in ours.items():
        rows[row] = theirs.get(token, NONE)
    return Alignment(
        name,
        base_rows,
        expert_rows,
        rows=torch.tensor(rows, dtype=torch.int64),
        new={token: row for token, row in theirs.items() if token not in ours},
        lacking={token: row for token, row in ours.items() if token not in theirs},
        moved={token: (theirs[token], row) for token, row in ours.items() if theirs.get(token, row) != row},
    )


def without_tokenizer(name: str, base_rows: int, expert_rows: int, whose: str) -> WudiError:
    """The error for numbers of rows that differ for a reason that no tokenizer tells."""
    return WudiError(f"expert {name}: {no_tokenizer(base_rows, expert_rows, whose)}")


def no_tokenizer(base_rows: int, expert_rows: int, whose: str) -> str:
    """That numbers of rows differ for a reason that no tokenizer tells, and what to do."""
    return (
        f"{expert_rows} rows of embeddings against the base's {base_rows}, and {whose} has no tokenizer to align by; "
        "put its tokenizer's files beside its weights"
    )


def refuse_differences(alignments: Sequence[Alignment]) -> None:
    """See whether all experts have the base's tokens at the base's rows, as the policy `error` wants it.

    Raises:
        WudiError: Some have not: what differs in each, and the policies that mend it.
    """
    problems = [f"expert {each.name}: {each.describe()}" for each in alignments if not each.is_identity]
    if problems:
        remedy = (
            "an expert's rows must be those of the base's tokens; `vocabulary: base` brings them into the base's order "
            "and drops what the base has not, `vocabulary: union` adds that to the base's"
        )
        raise WudiError("\n".join([*problems, remedy]))


def gather(weight: Tensor, rows: Tensor, otherwise: Tensor) -> Tensor:
    """The rows of `weight` in the order of `rows`, and where that says `NONE` the row that `otherwise` has there."""
    present = (rows != NONE).to(weight.device)
    gathered = otherwise.clone()
    gathered[present] = weight[rows.to(weight.device)[present]]
    return gathered
