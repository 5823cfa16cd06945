"""Work entry by entry, a few at a time: temporaries stay in the cache and do not grow with the tensor."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

CHUNK = {"cpu": 1 << 18, "cuda": 1 << 26}
"""Entries of each task vector at a time."""


def by_chunks(deltas: Sequence[Tensor], merge: Callable[[list[Tensor]], Tensor]) -> Tensor:
    """Merge task vectors of one shape by a function from n entries of each to n entries."""
    merged = torch.empty_like(deltas[0], memory_format=torch.contiguous_format)
    flat, target = [delta.reshape(-1) for delta in deltas], merged.view(-1)
    size = CHUNK.get(merged.device.type, CHUNK["cpu"])
    for first in range(0, target.numel(), size):
        chunk = slice(first, first + size)
        target[chunk] = merge([delta[chunk] for delta in flat])
    return merged
