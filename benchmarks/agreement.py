"""How far two programs' merges of the same models agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import torch
from torch import Tensor

from wudi.checkpoint import Checkpoint
from wudi.methods.magnitude import threshold, top


@dataclass(frozen=True)
class Agreement:
    """Of the merged task vectors Δ (this project's) and Δ′: ‖Δ′ − Δ‖ / ‖Δ‖, ‖Δ′‖ / ‖Δ‖, and the share left out."""

    difference: float
    norms: float
    left_out: float


def agreement(models: Sequence[Path], ours: Path, theirs: Path, density: float | None) -> Agreement:
    """Compare two merges into the first of the models.

    Where a `density` says that each tensor was trimmed as TIES does it, entries that the programs may treat in two ways
    are left out of the difference; see `contested`.
    """
    base, *experts = (Checkpoint(model) for model in models)
    mine, other = Checkpoint(ours), Checkpoint(theirs)
    sums, entries, left_out = torch.zeros(3, dtype=torch.float64), 0, 0
    for name in base.tensors:
        start = base.read(name).float()
        delta, rival = mine.read(name).float() - start, other.read(name).float() - start
        gap = rival - delta
        if density is not None:
            open_to_both = contested([expert.read(name).float() - start for expert in experts], density)
            gap[open_to_both] = 0.0
            left_out += int(torch.count_nonzero(open_to_both))
        sums += torch.stack([tensor.square().sum(dtype=torch.float64) for tensor in (gap, rival, delta)])
        entries += delta.numel()
    gaps, rivals, own = sums.tolist()
    return Agreement(sqrt(gaps / own), sqrt(rivals / own), left_out / entries)


def contested(deltas: Sequence[Tensor], density: float) -> Tensor:
    """The entries about which TIES says nothing, and bfloat16 models have many of them.

    Some expert's magnitude is the very threshold: of equal magnitudes one program keeps all, the other as many as it
    needs. Or the kept entries cancel: one program elects no sign, the other plus.
    """
    found = torch.zeros_like(deltas[0], dtype=torch.bool)
    total, kept_any = torch.zeros_like(deltas[0]), torch.zeros_like(found)
    for delta in deltas:
        magnitudes = delta.abs()
        low = threshold(delta, density, "tensor")  # keeps one entry more than the `kept` largest
        high = top(magnitudes.flatten(), max(int(delta.numel() * density), 1)).squeeze(-1)
        kept = (magnitudes >= low) & (magnitudes > 0)
        found |= kept & (magnitudes <= high)
        total += torch.where(kept, delta, 0.0)
        kept_any |= kept
    return found | (kept_any & (total == 0))
