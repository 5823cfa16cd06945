"""The base with rows for the tokens that only experts have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from wudi.alignment import NONE
from wudi.checkpoint import Checkpoint
from wudi.tensor_info import TensorInfo
from wudi.vocabulary_tensors import with_vocab_size


@dataclass(frozen=True, eq=False)
class Extension:
    """What one tensor of the vocabulary gains: for each row of the result the base's, or `NONE`, and those new rows."""

    rows: Tensor
    new: Mapping[int, Tensor]
    """By row of the result, in float32."""


class ExtendedBase(Checkpoint):
    """A checkpoint whose vocabulary has more tokens than its files, each the mean of what its experts have for it."""

    def __init__(self, base: Checkpoint, extensions: Mapping[str, Extension]) -> None:
        super().__init__(base.path)
        self.extensions = extensions

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process maps the files itself.
        return type(self), (Checkpoint(self.path.absolute()), self.extensions)

    @cached_property
    def tensors(self) -> dict[str, TensorInfo]:
        """Every tensor's dtype and shape with all its rows."""
        infos = dict(super().tensors)
        for name, extension in self.extensions.items():
            infos[name] = replace(infos[name], shape=(len(extension.rows), *infos[name].shape[1:]))
        return infos

    @cached_property
    def config(self) -> dict[str, Any]:
        """The content of config.json, with the number of all tokens."""
        return with_vocab_size(super().config, max(len(extension.rows) for extension in self.extensions.values()))

    def read(self, name: str) -> Tensor:
        """The tensor with all its rows."""
        return self.read_entries(name, 0, self.tensors[name].elements).view(self.tensors[name].shape)

    def read_entries(self, name: str, first: int, last: int) -> Tensor:
        """The entries from `first` to before `last` of the tensor with all its rows."""
        extension = self.extensions.get(name)
        if extension is None:
            return super().read_entries(name, first, last)
        stored = self.file(name).tensor(name)
        width = max(stored[0].numel(), 1)
        top, bottom = first // width, -(-last // width)
        wanted = extension.rows[top:bottom]
        found = stored[wanted.clamp(min=0)]
        for row in (wanted == NONE).nonzero().flatten().tolist():
            found[row] = extension.new[top + row].to(stored.dtype)
        return found.reshape(-1)[first - top * width : last - top * width]


def extension(stored: Tensor, rows: Tensor, owners: Sequence[tuple[Tensor, Tensor]]) -> Extension:
    """The new rows of a tensor: each the mean of the experts' that have one, or of the base's where none has.

    Args:
        stored: The base's tensor, with as many rows as its file has.
        rows: For each row of the result the base's, or `NONE`.
        owners: Each expert's own tensor, and for each row of the result the row in it, or `NONE`.
    """
    new = {}
    for row in (rows == NONE).nonzero().flatten().tolist():
        known = [own[places[row]].float() for own, places in owners if places[row] != NONE]
        new[row] = torch.stack(known).mean(dim=0) if known else stored.float().mean(dim=0)
    return Extension(rows, new)
