"""Methods that choose entries by a rule and merge what is chosen: breadcrumbs, consensus, SCE."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from wudi.low_rank import squared_norm, weighted_sum
from wudi.methods.elementwise import by_chunks
from wudi.methods.magnitude import top
from wudi.methods.method import Layer, Method, Update
from wudi.methods.ties import elect_and_merge
from wudi.settings import EverywhereSettings, SettingError, setting


@dataclass(frozen=True, kw_only=True)
class BreadcrumbsSettings(EverywhereSettings):
    """The authors' first point of search: of each row the top 15 % less the top 0.6 %, scale 0.2."""

    scale: float = setting(0.2, "factor on the sum of the masked task vectors")
    density: float = setting(0.15, "fraction of entries down to which magnitudes are kept", above=0, at_most=1)
    gamma: float = setting(0.006, "fraction of the largest entries, dropped as outliers", at_least=0, at_most=1)
    trim: Literal["row", "tensor"] = setting("row", "within what magnitudes are ranked: each row or the whole tensor")
    weights: dict[str, float] = setting({}, "weight of each expert, 1 for those not named")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gamma >= self.density:
            raise SettingError(
                "gamma", f"got {self.gamma:g}; takes less than density, {self.density:g}, or none is left"
            )


def breadcrumbs(layer: Layer, settings: BreadcrumbsSettings) -> Update:
    """Drop the largest entries as outliers and the small ones as noise, then task arithmetic."""
    masked = [between(delta, settings) for delta in layer.dense]
    return Update(weighted_sum(masked, layer.weights(settings.weights)))


def between(delta: Tensor, settings: BreadcrumbsSettings) -> Tensor:
    """The entries whose magnitude is among the top `density`, but not among the top `gamma`, of their row or tensor."""
    magnitudes = delta.abs() if settings.trim == "row" else delta.abs().flatten()
    count = magnitudes.shape[-1]
    kept, outliers = int(count * settings.density), int(count * settings.gamma)
    if kept == 0 or not delta.numel():
        return torch.zeros_like(delta)
    low, high = top(magnitudes, kept), top(magnitudes, outliers + 1)
    if settings.trim == "tensor":
        low, high = low.squeeze(-1), high.squeeze(-1)
    return torch.where((delta.abs() >= low) & (delta.abs() <= high), delta, 0.0)


@dataclass(frozen=True, kw_only=True)
class ConsensusSettings(EverywhereSettings):
    """Masks at 0.4, the middle of what the authors search; two experts must agree; the scale of task arithmetic."""

    scale: float = setting(0.3, "factor on the masked sum of the task vectors")
    threshold: float = setting(0.4, "how large an entry is to be beside the other experts' sum", at_least=0)
    agree: int = setting(2, "experts that must find an entry important, or all that change the tensor", at_least=1)


def consensus(layer: Layer, settings: ConsensusSettings) -> Update:
    """Keep of the sum of the task vectors the entries that are important to at least `agree` experts.

    An entry is important to expert i where |τᵢ| > threshold · |Σⱼ τⱼ − τᵢ| (TALL masks).
    """
    needed = min(settings.agree, sum(bool(delta.any()) for delta in layer.deltas))

    def agreed(entries: list[Tensor]) -> Tensor:
        chunk = torch.stack(entries)
        total = chunk.sum(dim=0)
        important = chunk.abs() > settings.threshold * (total - chunk).abs()
        return torch.where(important.sum(dim=0) >= needed, total, 0.0)

    return Update(by_chunks(layer.dense, agreed))


@dataclass(frozen=True, kw_only=True)
class SceSettings(EverywhereSettings):
    """Every position, as the authors' code has it; their FuseChat models take 0.1."""

    density: float = setting(1.0, "fraction of positions, by variance over the experts, that count", above=0, at_most=1)
    select: Literal["weights", "task_vectors"] = setting(
        "weights", "what the other positions are left out of: the weights alone (authors) or the result too (mergekit)"
    )


def sce(layer: Layer, settings: SceSettings) -> Update:
    """Select positions by variance, calculate weights from squared entries, erase the minority sign, and average."""
    deltas = layer.dense
    selected = most_varying(deltas, settings.density)
    counting = deltas if selected is None else [torch.where(selected, delta, 0.0) for delta in deltas]
    squares = [squared_norm(delta) for delta in counting]
    total = sum(squares)
    weights = [square / total if total > 0 else 1.0 for square in squares]

    def erased_and_averaged(entries: list[Tensor]) -> Tensor:
        # The sign is elected by the plain sum of the task vectors; the weights count in the mean alone.
        chunk = torch.stack(entries)
        elected = chunk.sum(dim=0).sign()
        return elect_and_merge(list(torch.where(chunk.sign() == elected, chunk, 0.0)), "mean", weights)

    return Update(by_chunks(counting if settings.select == "task_vectors" else deltas, erased_and_averaged))


def most_varying(deltas: Sequence[Tensor], density: float) -> Tensor | None:
    """Which positions are among the top `density` of those that vary over the experts at all; None for every one."""
    if density == 1.0:
        return None
    variance = by_chunks(deltas, lambda entries: torch.stack(entries).var(dim=0, unbiased=False))
    varying = int(torch.count_nonzero(variance))
    kept = int(varying * density)
    if varying == 0:
        return None
    return variance >= top(variance.flatten(), kept) if kept else torch.zeros_like(variance, dtype=torch.bool)


METHODS = (
    Method(
        name="breadcrumbs",
        source="Davari and Belilovsky, Model Breadcrumbs, ECCV 2024, arXiv 2312.06795",
        settings=BreadcrumbsSettings,
        merge=breadcrumbs,
    ),
    Method(
        name="consensus",
        source="Wang et al., Localizing task information (TALL masks), ICML 2024, arXiv 2405.07813",
        settings=ConsensusSettings,
        merge=consensus,
    ),
    Method(
        name="sce",
        source="Wan et al., FuseChat, 2024, arXiv 2408.07990",
        settings=SceSettings,
        merge=sce,
    ),
)
