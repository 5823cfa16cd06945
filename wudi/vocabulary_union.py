"""The base's vocabulary with the tokens that experts have beside it: where each token lies in the merged model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wudi.alignment import NONE, Alignment
from wudi.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Union:
    """The rows of a merged model that has the tokens of its base and of all its experts."""

    tokens: Mapping[str, int]
    """The row of each token that the base has not."""
    rows: int
    base: Tensor
    """For each row of the result the base's row, or `NONE` for a new token."""
    experts: tuple[Tensor, ...]
    """For each expert what its alignment's `rows` are for the base: for each row of the result its row, or `NONE`.

    Where the base and all experts have `NONE` lies a token that the base's tokenizer knows and no model has a row for.
    """
    owned: tuple[Mapping[str, int], ...]
    """For each expert those of the new tokens that it has, by its own row."""


def plan_union(base: Vocabulary | None, base_rows: int, alignments: Sequence[Alignment]) -> Union:
    """Place every token that some expert has and the base has not: experts in order, then by the expert's row.

    New tokens follow the base's last one, as an added token does in transformers: first in rows that were padding, then
    in rows beyond, so the matrix grows by no more than is needed.
    """
    tokens = placed(base, alignments)
    rows = max([base_rows, *(row + 1 for row in tokens.values())])
    same = extended(torch.arange(base_rows), rows)
    same[list(tokens.values())] = NONE
    experts = []
    for alignment in alignments:
        own = extended(alignment.rows, rows)
        for token, row in tokens.items():
            own[row] = alignment.new.get(token, NONE)
        experts.append(own)
    return Union(tokens, rows, same, tuple(experts), tuple(alignment.new for alignment in alignments))


def placed(base: Vocabulary | None, alignments: Sequence[Alignment]) -> dict[str, int]:
    """The row of each new token; a token that only the base's matrix has no row for keeps its id."""
    if base is None:
        return {}
    tokens: dict[str, int] = {}
    free = base.next_id
    for token in (token for alignment in alignments for token in alignment.new):
        if token not in tokens:
            known = base.ids.get(token)
            tokens[token] = free if known is None else known
            free += known is None
    return tokens


def extended(rows: Tensor, length: int) -> Tensor:
    """The rows, and `NONE` up to a length."""
    return torch.cat([rows, rows.new_full((length - len(rows),), NONE)])
