"""TIES-Merging: trim, elect sign, disjoint merge; the steps that other sparse methods share."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from wudi.methods.elementwise import by_chunks
from wudi.methods.magnitude import Scope, order_statistics, rank_of_threshold, threshold
from wudi.methods.method import Layer, Method, Update, Walk
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
    trimmed = [trim(delta, low) for delta, low in zip(deltas, thresholds(layer, deltas, settings), strict=True)]
    weights = layer.weights(settings.weights)
    return by_chunks(trimmed, lambda chunk: elect_and_merge(chunk, settings.merge, weights))


def thresholds(layer: Layer, deltas: Sequence[Tensor], settings: TiesSettings) -> list[Tensor]:
    """Each expert's magnitude threshold: the survey's over the model; a tensor without one is the whole model."""
    if settings.trim == "model" and layer.survey is not None:
        return [delta.new_tensor(low) for delta, low in zip(deltas, layer.survey, strict=True)]
    scope: Literal["row", "tensor"] = "row" if settings.trim == "row" else "tensor"
    return [threshold(delta, settings.density, scope) for delta in deltas]


def trim(delta: Tensor, low: Tensor) -> Tensor:
    """The entries of at least a magnitude; all others are zero."""
    return torch.where(delta.abs() >= low, delta, 0.0)


def model_thresholds(
    walk: Walk, settings: TiesSettings, prepared: Callable[[Layer], Iterable[Tensor]] = lambda layer: layer.dense
) -> list[float] | None:
    """Each expert's magnitude threshold over the whole model; None where trimming is by tensor or row."""
    if settings.trim != "model" or settings.density == 1.0:
        return None
    magnitudes = order_statistics(
        lambda: ((delta.abs() for delta in prepared(layer)) for layer in walk()),
        lambda count: [rank_of_threshold(count, settings.density)],
    )
    return [low for (low,) in magnitudes]


def elect_and_merge(trimmed: Tensor, join: Join, weights: Sequence[float]) -> Tensor:
    """Join the entries whose sign is that of their weighted sum over experts; `trimmed` has shape (T, n).

    Where the entries cancel exactly no sign is elected and nothing is added. The authors' program gives such a
    position the sign that most positions of the whole model have; adding nothing keeps the method symmetric.
    """
    shares = trimmed.new_tensor(weights)[:, None]
    weighted = trimmed * shares
    elected = weighted.sum(dim=0).sign()
    agrees = weighted.sign() == elected
    total = torch.where(agrees, weighted, 0.0).sum(dim=0)
    if join == "sum":
        return total
    share = (shares * (agrees & (trimmed != 0))).sum(dim=0)
    return torch.where(share > 0, total / share, 0.0)


METHODS = (
    Method(
        name="ties",
        source="Yadav et al., TIES-Merging, NeurIPS 2023, arXiv 2306.01708",
        settings=TiesSettings,
        merge=ties,
        survey=model_thresholds,
    ),
)
