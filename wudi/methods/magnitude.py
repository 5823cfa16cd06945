"""Magnitudes by rank, of one tensor or its rows at once."""

import math
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Scope = Literal["model", "tensor", "row"]
"""Over what entries are ranked: the whole model, each tensor, or each row (outputs) of a tensor."""

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
