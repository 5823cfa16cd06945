"""TIES-Merging: trim, elect sign, disjoint merge; the steps that other sparse methods share."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from wudi.methods.elementwise import by_chunks
from wudi.methods.magnitude import Scope, rank_of_threshold, threshold
from wudi.methods.method import Layer, Method, Update, Walk
from wudi.methods.order_statistics import order_statistics
from wudi.settings import EverywhereSettings, setting

Join = Literal["mean", "sum"]


@dataclass(frozen=True, kw_only=True)
class TiesSettings(EverywhereSettings):
    """The authors keep the top 20 % of the whole flattened model and take the disjoint mean."""

    density: float = setting(0.2, "fraction of entries that trimming keeps", above=0, at_most=1)
    trim: Scope = setting("model", "over what the threshold is taken: the whole model, a tensor or a row")
    merge: Join = setting("mean", "how entries of the elected sign are joined")
    weights: dict[str, float] = setting({}, "weight of each expert, 1 for those not named", at_least=0)


def ties(layer: Layer, settings: TiesSettings) -> Update:
    """Keep the largest entries, elect a sign at each position, join the entries that agree with it."""
    return Update(trim_and_elect(layer, layer.dense, settings))


def trim_and_elect(layer: Layer, deltas: Sequence[Tensor], settings: TiesSettings) -> Tensor:
    """TIES on task vectors that may have been changed before."""
    trimmed = deltas
    if settings.density < 1:
        lows = thresholds(layer, deltas, settings)
        trimmed = [trim(delta, low) for delta, low in zip(deltas, lows, strict=True)]
    weights = layer.weights(settings.weights)
    return by_chunks(trimmed, lambda chunk: elect_and_merge(chunk, settings.merge, weights))


def thresholds(layer: Layer, deltas: Sequence[Tensor], settings: TiesSettings) -> Sequence[Tensor | float]:
    """Each expert's magnitude threshold: the survey's; a tensor without one is all there is."""
    if layer.survey is not None:
        lows: Sequence[float] = layer.survey
        return lows
    scope: Literal["row", "tensor"] = "row" if settings.trim == "row" else "tensor"
    return [threshold(delta, settings.density, scope) for delta in deltas]


def trim(delta: Tensor, low: Tensor | float) -> Tensor:
    """The entries of at least a magnitude; all others are zero."""
    if isinstance(low, Tensor):
        return torch.where(delta.abs() >= low, delta, 0.0)
    # What is larger than the next smaller number: many times faster on a CPU than a choice by a mask.
    below = float(np.nextafter(np.float32(low), np.float32(0)))
    return torch.nn.functional.hardshrink(delta, below)


def surveyed_thresholds(
    walk: Walk, settings: TiesSettings, prepared: Callable[[Layer], Iterable[Tensor]] = lambda layer: layer.dense
) -> list[float] | None:
    """Each expert's magnitude threshold over the model or the tensor; None where trimming is by row, or keeps all."""
    if settings.trim == "row" or settings.density == 1.0:
        return None
    magnitudes = order_statistics(
        walk,
        lambda layer: [delta.abs() for delta in prepared(layer)],
        lambda count: [rank_of_threshold(count, settings.density)],
    )
    return [low for (low,) in magnitudes]


def surveyed_over(settings: TiesSettings) -> Literal["model", "tensor"]:
    """Over what thresholds are taken."""
    return "model" if settings.trim == "model" else "tensor"


def is_by_entry(settings: TiesSettings) -> bool:
    """Whether thresholds are known from a survey; those of rows are not."""
    return settings.trim != "row"


def elect_and_merge(trimmed: Sequence[Tensor], join: Join, weights: Sequence[float]) -> Tensor:
    """Join the entries whose sign is that of their weighted sum over experts.

    Where the entries cancel exactly no sign is elected and nothing is added. The authors' program gives such a
    position the sign that most positions of the whole model have; adding nothing keeps the method symmetric.
    """
    weighted = [own if weight == 1.0 else own * weight for own, weight in zip(trimmed, weights, strict=True)]
    elected = sum(weighted[1:], start=weighted[0]).sign()
    total, share = torch.zeros_like(elected), torch.zeros_like(elected)
    for own, weight in zip(weighted, weights, strict=True):
        agreeing = (own * elected).relu_()  # without masks, which are slow on a CPU
        total += agreeing
        share.add_(agreeing.sign_(), alpha=weight)
    total *= elected
    return total if join == "sum" else total / share.clamp_(min=torch.finfo(share.dtype).tiny)


METHODS = (
    Method(
        name="ties",
        source="Yadav et al., TIES-Merging, NeurIPS 2023, arXiv 2306.01708",
        settings=TiesSettings,
        merge=ties,
        survey=surveyed_thresholds,
        survey_of=surveyed_over,
        by_entry=is_by_entry,
    ),
)
