"""The magnitude above which a given fraction of entries lies: of one tensor, or of a whole model in two passes."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

Pass = Callable[[], Iterable[Sequence[Tensor]]]
"""Walks over the model anew at each call and yields, tensor by tensor, every expert's float32 task vector."""


def rank_of_threshold(count: int, density: float) -> int:
    """The rank, from the smallest and 1-based, of the threshold among `count` magnitudes.

    As in the TIES authors' program: count − ⌊count · density⌋, so that the entry at the threshold is kept too.
    """
    return max(count - int(count * density), 1)


def magnitude_threshold(delta: Tensor, density: float) -> float:
    """The smallest magnitude that is kept when `density` of the entries of one tensor are kept."""
    if delta.numel() == 0:
        return 0.0
    rank = rank_of_threshold(delta.numel(), density)
    if delta.is_cuda:
        return float(delta.abs().flatten().kthvalue(rank).values)
    # numpy's introselect is several times faster on a CPU than torch.kthvalue.
    return float(np.partition(delta.abs().flatten().numpy(), rank - 1)[rank - 1])


def model_thresholds(model: Pass, density: float) -> list[float]:
    """The threshold of each expert over the whole model, exactly, in memory that does not grow with the model.

    Magnitudes of non-negative floats order as their bit patterns do, so two passes of counting find the one of the
    wanted rank: over the upper 16 bits first, then over the lower 16 among those that share its upper ones.
    """
    upper = counts_per_expert(model(), lambda _, bits: bits >> 16)
    ranks = [rank_of_threshold(int(counts.sum()), density) for counts in upper]
    found = [bucket_of_rank(counts, rank) for counts, rank in zip(upper, ranks, strict=True)]
    lower = counts_per_expert(model(), lambda index, bits: bits[bits >> 16 == found[index][0]] & 0xFFFF)
    patterns = [
        (bucket << 16) | bucket_of_rank(counts, rank)[0] for (bucket, rank), counts in zip(found, lower, strict=True)
    ]
    return [float(np.array(pattern, dtype=np.int32).view(np.float32)) for pattern in patterns]


def counts_per_expert(model: Iterable[Sequence[Tensor]], key: Callable[[int, Tensor], Tensor]) -> list[Tensor]:
    """For each expert, how often each 16-bit key occurs among its entries."""
    counts: list[Tensor] = []
    for deltas in model:
        counts = counts or [torch.zeros(1 << 16, dtype=torch.int64, device=delta.device) for delta in deltas]
        for index, delta in enumerate(deltas):
            bits = delta.float().abs().flatten().view(torch.int32)
            counts[index] += torch.bincount(key(index, bits), minlength=1 << 16)
    return counts


def bucket_of_rank(counts: Tensor, rank: int) -> tuple[int, int]:
    """The bucket that holds the entry of a 1-based rank, and that entry's rank within the bucket."""
    cumulative = counts.cumsum(dim=0)
    bucket = int(torch.searchsorted(cumulative, rank))
    return bucket, rank - int(cumulative[bucket] - counts[bucket])
