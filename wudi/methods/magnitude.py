"""Magnitudes by rank: of one tensor or its rows at once, or over a whole model in two passes."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Scope = Literal["model", "tensor", "row"]
"""Over what entries are ranked: the whole model, each tensor, or each row (outputs) of a tensor."""

Values = Callable[[], Iterable[Iterable[Tensor]]]
"""Walks over the model anew at each call and yields, tensor by tensor, one tensor of values an expert."""

HALF = 1 << 16
LONG, SAMPLE = 1 << 20, 1 << 16


def rank_of_threshold(count: int, density: float) -> int:
    """The rank, from the smallest and 1-based, of the threshold among `count` magnitudes.

    As in the TIES authors' program: count − ⌊count · density⌋, so that the entry at the threshold is kept too.
    """
    return max(count - int(count * density), 1)


def threshold(delta: Tensor, density: float, scope: Literal["tensor", "row"]) -> Tensor:
    """The smallest magnitude that is kept when `density` of a tensor's entries, or of each row's, are kept.

    Its shape broadcasts against `delta`; a vector is one row.
    """
    if scope == "row":
        return smallest(delta.abs(), rank_of_threshold(delta.shape[-1], density))
    return smallest(delta.abs().flatten(), rank_of_threshold(delta.numel(), density)).squeeze(-1)


def top(values: Tensor, kept: int) -> Tensor:
    """The smallest of the `kept` largest values along the last dimension, which is kept with size 1."""
    return smallest(values, max(values.shape[-1] - kept + 1, 1))


def smallest(values: Tensor, rank: int) -> Tensor:
    """The value of a 1-based rank along the last dimension, which is kept with size 1."""
    if values.numel() == 0:
        return values.new_zeros(*values.shape[:-1], 1)
    if values.is_cuda:
        return values.kthvalue(rank, dim=-1, keepdim=True).values
    if values.dim() == 1 and len(values) > LONG:
        return values.new_tensor([selected(values.numpy(), rank)])
    # numpy's introselect is several times faster on a CPU than torch.kthvalue and torch.topk.
    return torch.from_numpy(np.partition(values.numpy(), rank - 1, axis=-1)[..., rank - 1 : rank])


def selected(values: NDArray[Any], rank: int) -> float:
    """The value of a 1-based rank of a long vector: a sample says about where it lies, and only there is it looked for.

    Exact whatever the sample: where the rank turns out to lie elsewhere, all values are looked through.
    """
    sample = np.sort(values[:: len(values) // SAMPLE])
    place, margin = rank / len(values) * len(sample), 4.0 * math.sqrt(len(sample))
    low, high = sample[max(int(place - margin), 0)], sample[min(int(place + margin), len(sample) - 1)]
    below = int(np.count_nonzero(values < low))
    near = values[(values >= low) & (values <= high)]
    if not 1 <= rank - below <= len(near):
        near, below = values, 0
    return float(np.partition(near, rank - below - 1)[rank - below - 1])


def order_statistics(values: Values, ranks: Callable[[int], Sequence[int]]) -> list[list[float]]:
    """Each expert's values of the wanted 1-based ranks over the whole model, exactly, in constant memory.

    Args:
        values: Float32 values, one tensor an expert for each tensor of the model.
        ranks: The wanted ranks, given the number of values of an expert.

    The bits of floats order as the floats do, once the negative ones are turned around. So two passes of counting find
    the one of a wanted rank: over the upper 16 bits, then over the lower 16 among those that share its upper ones.
    """
    upper = counts_per_expert(values(), 1, lambda _, bits: [upper_half(bits)])
    wanted = [ranks(int(counts.sum())) for counts in upper[0]]
    found = [[bucket_of_rank(counts, rank) for rank in expert] for counts, expert in zip(upper[0], wanted, strict=True)]
    lower = counts_per_expert(
        values(),
        len(wanted[0]),
        lambda expert, bits: [bits[upper_half(bits) == bucket] & (HALF - 1) for bucket, _ in found[expert]],
    )
    return [
        [as_float(bucket, bucket_of_rank(lower[index][expert], rank)[0]) for index, (bucket, rank) in parts]
        for expert, parts in enumerate(map(enumerate, found))
    ]


def counts_per_expert(
    model: Iterable[Iterable[Tensor]], keys: int, key: Callable[[int, Tensor], list[Tensor]]
) -> list[list[Tensor]]:
    """For each of the `keys` and each expert, how often each 16-bit value of it occurs among the expert's entries."""
    counts: list[list[Tensor]] = [[] for _ in range(keys)]
    for tensors in model:
        for expert, values in enumerate(tensors):
            for index, found in enumerate(key(expert, ordered_bits(values))):
                occurrences = torch.bincount(found, minlength=HALF)
                if expert == len(counts[index]):
                    counts[index].append(occurrences)
                else:
                    counts[index][expert] += occurrences
    return counts


def ordered_bits(values: Tensor) -> Tensor:
    """Whole numbers of 32 bits that order as the float32 values do."""
    bits = values.float().flatten().view(torch.int32)
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def upper_half(ordered: Tensor) -> Tensor:
    """The upper 16 of the `ordered_bits`, from 0."""
    return (ordered >> 16) + HALF // 2


def as_float(upper: int, lower: int) -> float:
    """The float32 value whose `ordered_bits` have these halves."""
    ordered = np.array(((upper - HALF // 2) << 16) | lower, dtype=np.int32)
    return float((ordered ^ ((ordered >> 31) & 0x7FFFFFFF)).view(np.float32))


def bucket_of_rank(counts: Tensor, rank: int) -> tuple[int, int]:
    """The bucket that holds the entry of a 1-based rank, and that entry's rank within the bucket."""
    cumulative = counts.cumsum(dim=0)
    bucket = int(torch.searchsorted(cumulative, rank))
    return bucket, rank - int(cumulative[bucket] - counts[bucket])
