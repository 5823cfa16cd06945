"""DARE with TIES: drop entries at random, rescale the others, then trim, elect and merge."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wudi.methods.method import Layer, Method, Update
from wudi.methods.ties import TiesSettings, elect_and_merge, tensor_thresholds, trim
from wudi.settings import setting


@dataclass(frozen=True, kw_only=True)
class DareTiesSettings(TiesSettings):
    """Drop rate 0.2 and then TIES at its own defaults, in the order of the DARE authors' program."""

    drop_rate: float = setting(0.2, "probability that an entry is dropped", at_least=0, at_most=0.999)
    seed: int = setting(0, "seed of the random masks", at_least=0)


def dare_ties(layer: Layer, settings: DareTiesSettings) -> Update:
    """Drop entries at random, divide the kept ones by their probability, then TIES."""
    dropped = drop_and_rescale(layer, settings)
    thresholds = layer.thresholds or tensor_thresholds(dropped, settings.density)
    return Update(elect_and_merge(trim(dropped, thresholds), settings.merge))


def drop_and_rescale(layer: Layer, settings: DareTiesSettings) -> Sequence[Tensor]:
    """τ̃ᵢ = τᵢ ⊙ Bernoulli(1 − p) / (1 − p), drawn anew for each expert and tensor from the recipe's seed."""
    keep = 1.0 - settings.drop_rate
    return [delta * (keep_mask(layer, settings, index) / keep) for index, delta in enumerate(layer.deltas)]


def keep_mask(layer: Layer, settings: DareTiesSettings, index: int) -> Tensor:
    """The random mask of one expert, drawn on the CPU so that every device gives the same model."""
    delta = layer.deltas[index]
    draws = torch.rand(delta.shape, generator=layer.generator(settings.seed, index))
    return (draws >= settings.drop_rate).to(device=delta.device, dtype=delta.dtype)


METHOD = Method(
    name="dare_ties",
    source="Yu et al., Language models are super Mario, ICML 2024, arXiv 2311.03099",
    settings=DareTiesSettings,
    merge=dare_ties,
    survey=lambda settings: settings.density if settings.trim == "model" else None,
    surveyed=drop_and_rescale,
)
