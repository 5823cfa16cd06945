"""PCB-Merging: entries compete within their expert and across experts; the winners are averaged by their score."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wudi.methods.magnitude import order_statistics
from wudi.methods.method import Layer, Method, Update, Walk
from wudi.settings import EverywhereSettings, setting


@dataclass(frozen=True, kw_only=True)
class PcbSettings(EverywhereSettings):
    """As the authors merge language models: quantiles at 1 %, the top 10 %; they search the scale in 0.8 to 1.3."""

    clamp: float = setting(
        0.01, "quantile to which the smallest and largest magnitudes are drawn", at_least=0, at_most=0.49
    )
    density: float = setting(0.1, "fraction of each expert's entries that win", above=0, at_most=1)


@dataclass(frozen=True)
class Competition:
    """What is known of each expert's entries over the whole model: (low, high) pairs, one an expert."""

    magnitudes: Sequence[Sequence[float]]
    scores: Sequence[Sequence[float]]


def pcb(layer: Layer, settings: PcbSettings) -> Update:
    """Score each entry by its size and by its agreement with the other experts; average the top entries by score.

    With τ̂ᵢ the task vector, its magnitudes clamped to their quantiles, and nᵢ the same scaled to [−1, 1]:
    βᵢ = exp(T nᵢ²) · Σⱼ tanh(nᵢnⱼ), sᵢ = βᵢ above its quantile, scaled to [0, 1], and τ = Σᵢ sᵢτ̂ᵢ / Σᵢ sᵢ.
    """
    known: Competition = layer.survey or compete(lambda: iter([layer]), settings)
    clamped, scores = clamped_and_scored(layer, known.magnitudes)
    shares = torch.stack([scaled(score, *bounds) for score, bounds in zip(scores, known.scores, strict=True)])
    total = shares.sum(dim=0)
    return Update(torch.where(total > 0, (shares * torch.stack(clamped)).sum(dim=0) / total, 0.0))


def compete(walk: Walk, settings: PcbSettings) -> Competition:
    """The quantiles of magnitudes, and then those of the scores, over the whole model: four walks in all."""
    magnitudes = order_statistics(
        lambda: ([delta.abs() for delta in layer.dense] for layer in walk()),
        lambda count: [at(count * settings.clamp, count), at(count * (1 - settings.clamp) - 1, count)],
    )

    def scores() -> Iterable[Sequence[Tensor]]:
        return (clamped_and_scored(layer, magnitudes)[1] for layer in walk())

    return Competition(
        magnitudes, order_statistics(scores, lambda count: [at(count * (1 - settings.density), count), count])
    )


def at(index: float, count: int) -> int:
    """The 1-based rank of the authors' 0-based, rounded-down index."""
    return min(max(int(index), 0), count - 1) + 1


def clamped_and_scored(layer: Layer, magnitudes: Sequence[Sequence[float]]) -> tuple[list[Tensor], list[Tensor]]:
    """τ̂ᵢ and βᵢ of each expert."""
    clamped = [
        delta.sign() * delta.abs().clamp(low, high) for delta, (low, high) in zip(layer.dense, magnitudes, strict=True)
    ]
    sizes = [
        delta.sign() * scaled(delta.abs(), low, high) for delta, (low, high) in zip(clamped, magnitudes, strict=True)
    ]
    count = len(sizes)
    scores = [torch.exp(count * size.square()) * sum(torch.tanh(size * other) for other in sizes) for size in sizes]
    return clamped, scores


def scaled(values: Tensor, low: float, high: float) -> Tensor:
    """Values clamped to [low, high] and mapped onto [0, 1]; all 0 where the interval is a point."""
    if not high > low:
        return torch.zeros_like(values)
    return (values.clamp(low, high) - low) / (high - low)


METHODS = (
    Method(
        name="pcb",
        source="Du et al., Parameter competition balancing, NeurIPS 2024, arXiv 2410.02396",
        settings=PcbSettings,
        merge=pcb,
        survey=compete,
    ),
)
