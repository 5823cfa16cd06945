"""Methods that drop entries at random and scale the kept ones up: DARE and DELLA."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from wudi.low_rank import weighted_sum
from wudi.methods.elementwise import by_chunks
from wudi.methods.method import Layer, Method, Update, Walk
from wudi.methods.ties import (
    Join,
    TiesSettings,
    elect_and_merge,
    surveyed_over,
    surveyed_thresholds,
    trim_and_elect,
)
from wudi.settings import EverywhereSettings, SettingError, setting

Rescale = Literal["probability", "l1", "none"]
RESCALE = "what kept entries are divided by: their probability, what restores the L1 norm, or nothing"


@dataclass(frozen=True, kw_only=True)
class DareSettings(EverywhereSettings):
    """Drop rate 0.2, which the authors take for merging; the scale is that of task arithmetic."""

    scale: float = setting(0.3, "factor on the sum of the task vectors")
    drop_rate: float = setting(0.2, "probability that an entry is dropped", at_least=0, at_most=0.999)
    rescale: Rescale = setting("probability", RESCALE)
    seed: int = setting(0, "seed of the random masks", at_least=0)
    weights: dict[str, float] = setting({}, "weight of each expert, 1 for those not named")


def dare(layer: Layer, settings: DareSettings) -> Update:
    """Drop entries at random, divide the kept ones by their probability, then task arithmetic."""
    dropped = list(drop_and_rescale(layer, settings))
    return Update(weighted_sum(dropped, layer.weights(settings.weights)))


@dataclass(frozen=True, kw_only=True)
class DareTiesSettings(TiesSettings):
    """Drop rate 0.2 and then TIES at its own defaults, in the order of the DARE authors' program."""

    drop_rate: float = setting(0.2, "probability that an entry is dropped", at_least=0, at_most=0.999)
    rescale: Rescale = setting("probability", RESCALE)
    seed: int = setting(0, "seed of the random masks", at_least=0)


def dare_ties(layer: Layer, settings: DareTiesSettings) -> Update:
    """Drop entries at random, divide the kept ones by their probability, then TIES."""
    return Update(trim_and_elect(layer, list(drop_and_rescale(layer, settings)), settings))


def dropped_thresholds(walk: Walk, settings: DareTiesSettings) -> list[float] | None:
    """The thresholds of TIES, over what dropping leaves."""
    return surveyed_thresholds(walk, settings, lambda layer: drop_and_rescale(layer, settings))


def is_by_entry(settings: DareSettings | DareTiesSettings) -> bool:
    """Whether what is kept is scaled by its probability alone, and not by the norm of the whole tensor."""
    return settings.rescale != "l1" and (not isinstance(settings, DareTiesSettings) or settings.trim != "row")


def drop_and_rescale(layer: Layer, settings: DareSettings | DareTiesSettings) -> Iterator[Tensor]:
    """τ̃ᵢ = τᵢ ⊙ Bernoulli(1 − p) / (1 − p), expert by expert."""
    keep = 1.0 - settings.drop_rate
    for index, delta in enumerate(layer.dense):
        yield keep_at_random(delta, keep, settings.rescale, layer.draws(settings.seed, index))


@dataclass(frozen=True, kw_only=True)
class DellaSettings(EverywhereSettings):
    """The authors' example: drop rate 0.3, window 0.14 (twice epsilon), ranks within each row."""

    density: float = setting(0.7, "mean probability that an entry is kept", above=0, at_most=1)
    epsilon: float = setting(0.07, "how far from it the smallest and the largest entry's lie", at_least=0, at_most=0.5)
    trim: Literal["row", "tensor"] = setting("row", "within what magnitudes are ranked: each row or the whole tensor")
    rescale: Rescale = setting("probability", RESCALE)
    merge: Join = setting("mean", "how entries of the elected sign are joined")
    seed: int = setting(0, "seed of the random masks", at_least=0)
    weights: dict[str, float] = setting({}, "weight of each expert, 1 for those not named", at_least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.density - self.epsilon > 0 or self.density + self.epsilon > 1:
            lowest, highest = self.density - self.epsilon, self.density + self.epsilon
            raise SettingError(
                "epsilon",
                f"got {self.epsilon:g}, so that keep probabilities run from {lowest:g} to {highest:g}; "
                "takes what leaves them above 0 and at most 1",
            )


def della(layer: Layer, settings: DellaSettings) -> Update:
    """Drop entries at random, small ones more often than large ones; then elect a sign and join what agrees."""
    kept = [
        keep_at_random(delta, keep_probabilities(delta, settings), settings.rescale, layer.draws(settings.seed, index))
        for index, delta in enumerate(layer.dense)
    ]
    weights = layer.weights(settings.weights)
    return Update(by_chunks(kept, lambda chunk: elect_and_merge(chunk, settings.merge, weights)))


def keep_probabilities(delta: Tensor, settings: DellaSettings) -> Tensor:
    """Linear in the rank of the magnitude: density − ε for the smallest entry, density + ε for the largest."""
    magnitudes = delta.abs() if settings.trim == "row" else delta.abs().flatten()
    count = magnitudes.shape[-1]
    ranks = magnitudes.argsort(dim=-1, stable=True).argsort(dim=-1).to(delta.dtype)
    step = 2.0 * settings.epsilon / max(count - 1, 1)
    return (settings.density - settings.epsilon + step * ranks).reshape(delta.shape)


def keep_at_random(delta: Tensor, probability: Tensor | float, rescale: Rescale, draws: Tensor) -> Tensor:
    """Keep each entry of an expert with its probability and make up for what is dropped.

    The draws are made on the CPU, so that every device gives the same model.
    """
    # 1 where the draw is below the probability, else 0: without masks, which are slow on a CPU.
    kept = draws.to(delta.device, delta.dtype).neg_().add_(probability).sign_().relu_().mul_(delta)
    match rescale:
        case "probability":
            return kept.div_(probability)
        case "l1":
            left = kept.abs().sum(dtype=torch.float64)
            return kept.mul_(float(delta.abs().sum(dtype=torch.float64) / left)) if left > 0 else kept
        case _:
            return kept


METHODS = (
    Method(
        name="dare",
        source="Yu et al., Language models are super Mario, ICML 2024, arXiv 2311.03099",
        settings=DareSettings,
        merge=dare,
        by_entry=is_by_entry,
    ),
    Method(
        name="dare_ties",
        source="Yu et al., Language models are super Mario, ICML 2024, arXiv 2311.03099",
        settings=DareTiesSettings,
        merge=dare_ties,
        survey=dropped_thresholds,
        survey_of=surveyed_over,
        by_entry=is_by_entry,
    ),
    Method(
        name="della",
        source="Deep et al., DELLA-Merging, 2024, arXiv 2406.11617",
        settings=DellaSettings,
        merge=della,
    ),
)
