"""PCB-Merging: entries compete within their expert and across experts; the winners are averaged by their score."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wudi.methods.elementwise import by_chunks
from wudi.methods.method import Layer, Method, Update, Walk, always, only
from wudi.methods.order_statistics import order_statistics
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
    known: Competition = layer.survey or compete(only(layer), settings)
    deltas = layer.dense

    def averaged(entries: list[Tensor]) -> Tensor:
        chunk = torch.stack(entries)
        scores = scored(chunk, known.magnitudes)
        shares = torch.stack([scaled(score, *bounds) for score, bounds in zip(scores, known.scores, strict=True)])
        total = shares.sum(dim=0)
        return torch.where(total > 0, (shares * clamped(chunk, known.magnitudes)).sum(dim=0) / total, 0.0)

    return Update(by_chunks(deltas, averaged))


def compete(walk: Walk, settings: PcbSettings) -> Competition:
    """The quantiles of magnitudes, and then those of the scores, which need them: two walks over the whole model."""
    magnitudes = order_statistics(
        walk,
        lambda layer: [delta.abs() for delta in layer.dense],
        lambda count: [at(count * settings.clamp, count), at(count * (1 - settings.clamp) - 1, count)],
    )
    scores = order_statistics(
        walk,
        lambda layer: list(scored(torch.stack([delta.flatten() for delta in layer.dense]), magnitudes)),
        lambda count: [at(count * (1 - settings.density), count), count],
    )
    return Competition(magnitudes, scores)


def at(index: float, count: int) -> int:
    """The 1-based rank of the authors' 0-based, rounded-down index."""
    return min(max(int(index), 0), count - 1) + 1


def clamped(deltas: Tensor, magnitudes: Sequence[Sequence[float]]) -> Tensor:
    """τ̂ᵢ of task vectors of shape (T, n)."""
    low, high = deltas.new_tensor(magnitudes).T[..., None]
    return deltas.sign() * torch.maximum(torch.minimum(deltas.abs(), high), low)


def scored(deltas: Tensor, magnitudes: Sequence[Sequence[float]]) -> Tensor:
    """βᵢ of task vectors of shape (T, n)."""
    sizes = torch.stack(
        [delta.sign() * scaled(delta.abs(), *bounds) for delta, bounds in zip(deltas, magnitudes, strict=True)]
    )
    agreement = torch.stack([torch.tanh(size * sizes).sum(dim=0) for size in sizes])
    return torch.exp(len(sizes) * sizes.square()) * agreement


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
        by_entry=always,
    ),
)
