"""How an expert's tensors lie to the base's: which of them holds the value of each, and in which row each token is."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from wudi.alignment import NONE

NEW_ROWS = ".new_rows"
"""What follows an embedding's name in a task vector for the rows of tokens that the base has not: weights."""


@dataclass(frozen=True, eq=False)
class Fit:
    """The identity, but for the tensors that are named here."""

    aliases: Mapping[str, str | None] = field(default_factory=dict)
    """The expert's tensor in the place of a base's; None where it holds none, and the base's stands for it."""
    rows: Mapping[str, Tensor] = field(default_factory=dict)
    """For each row of a base's tensor the expert's, or `NONE`: int64. New rows of a task vector follow its others."""

    def name(self, tensor: str) -> str | None:
        """The expert's tensor that holds its value of a base's."""
        return self.aliases.get(tensor, tensor)


def weights_of(rows: Tensor, own: Tensor, base: Tensor, first: int, last: int) -> Tensor:
    """An expert's entries from `first` to before `last` in the base's rows, and the base's where it has no such row.

    Args:
        rows: For each row of the base the expert's, or `NONE`.
        own: The expert's whole tensor.
        base: The base's entries from `first` to before `last`, in float32; the result is on its device.
        first: The first entry.
        last: What follows the last entry.
    """
    entries, present = entries_of(rows, own, first, last)
    return torch.where(present.to(base.device), entries.to(base.device).to(torch.float32), base)


def differences_of(rows: Tensor, own: Tensor, new: Tensor, base: Tensor, first: int, last: int) -> Tensor:
    """A task vector's entries from `first` to before `last` in the base's rows; zero where it has no such row.

    Args:
        rows: For each row of the base the task vector's, or `NONE`; from `len(own)` on, those of `new`.
        own: The whole task vector of the tensor.
        new: Rows of weights, for tokens that the base's files have not.
        base: The base's entries from `first` to before `last`, in float32; the result is on its device.
        first: The first entry.
        last: What follows the last entry.
    """
    entries, present = entries_of(torch.where(rows < len(own), rows, NONE), own, first, last)
    delta = torch.where(present, entries.to(torch.float32), 0.0).to(base.device)
    if not len(new):
        return delta
    added = torch.where(rows < len(own), NONE, rows - len(own))
    return delta + weights_of(added, new, base, first, last) - base


def entries_of(rows: Tensor, own: Tensor, first: int, last: int) -> tuple[Tensor, Tensor]:
    """The entries from `first` to before `last` of `own` in the order of `rows`, and whether there is any."""
    width = max(own[0].numel(), 1)
    top, bottom = first // width, -(-last // width)
    place = slice(first - top * width, last - top * width)
    wanted = rows[top:bottom]
    return own[wanted.clamp(min=0)].reshape(-1)[place], (wanted != NONE).repeat_interleave(width)[place]
