"""TIES-Merging: trim, elect sign, disjoint merge."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from wudi.methods.magnitude import magnitude_threshold
from wudi.methods.method import Layer, Method, Update
from wudi.settings import EverywhereSettings, setting


@dataclass(frozen=True, kw_only=True)
class TiesSettings(EverywhereSettings):
    """The authors keep the top 20 % of the whole flattened model and take the disjoint mean."""

    density: float = setting(0.2, "fraction of entries that trimming keeps", above=0, at_most=1)
    trim: Literal["model", "tensor"] = setting("model", "over what the threshold is taken: the whole model or a tensor")
    merge: Literal["mean", "sum"] = setting("mean", "how entries of the elected sign are joined")


def ties(layer: Layer, settings: TiesSettings) -> Update:
    """Keep the largest entries, elect a sign at each position, join the entries that agree with it."""
    thresholds = layer.thresholds or tensor_thresholds(layer.deltas, settings.density)
    return Update(elect_and_merge(trim(layer.deltas, thresholds), settings.merge))


def tensor_thresholds(deltas: Sequence[Tensor], density: float) -> list[float]:
    """The magnitude threshold of each task vector within its own tensor."""
    return [magnitude_threshold(delta, density) for delta in deltas]


def trim(deltas: Sequence[Tensor], thresholds: Sequence[float]) -> Tensor:
    """Stack the task vectors, shape (T, ...), with every entry below its expert's threshold set to zero."""
    kept = [torch.where(delta.abs() >= low, delta, 0.0) for delta, low in zip(deltas, thresholds, strict=True)]
    return torch.stack(kept)


def elect_and_merge(trimmed: Tensor, merge: Literal["mean", "sum"]) -> Tensor:
    """Join the entries whose sign is that of their sum over experts; `trimmed` has shape (T, ...).

    Where the entries cancel exactly no sign is elected and nothing is added. The authors' program gives such a
    position the sign that most positions of the whole model have; adding nothing keeps the method symmetric.
    """
    elected = trimmed.sum(dim=0).sign()
    agrees = trimmed.sign() == elected
    total = torch.where(agrees, trimmed, 0.0).sum(dim=0)
    if merge == "sum":
        return total
    return total / (agrees & (trimmed != 0)).sum(dim=0).clamp(min=1)


METHOD = Method(
    name="ties",
    source="Yadav et al., TIES-Merging, NeurIPS 2023, arXiv 2306.01708",
    settings=TiesSettings,
    merge=ties,
    survey=lambda settings: settings.density if settings.trim == "model" else None,
)
