"""TIES-Merging: trim, elect sign, disjoint merge; the steps that other sparse methods share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

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
    trimmed = trim(layer.dense, layer.survey, settings.density, settings.trim)
    return Update(elect_and_merge(trimmed, settings.merge, layer.weights(settings.weights)))


def trim(deltas: Sequence[Tensor], thresholds: Sequence[float] | None, density: float, scope: Scope) -> Tensor:
    """Stack the task vectors, shape (T, ...), with every entry below its expert's threshold set to zero.

    `thresholds` are those over the whole model; where there are none, a single tensor is the whole model.
    """
    if scope != "model" or thresholds is None:
        lows = [threshold(delta, density, "row" if scope == "row" else "tensor") for delta in deltas]
    else:
        lows = [delta.new_tensor(low) for delta, low in zip(deltas, thresholds, strict=True)]
    return torch.stack([torch.where(delta.abs() >= low, delta, 0.0) for delta, low in zip(deltas, lows, strict=True)])


def model_thresholds(
    walk: Walk, settings: TiesSettings, prepared: Callable[[Layer], Sequence[Tensor]] = lambda layer: layer.dense
) -> list[float] | None:
    """Each expert's magnitude threshold over the whole model; None where trimming is by tensor or row."""
    if settings.trim != "model" or settings.density == 1.0:
        return None
    magnitudes = order_statistics(
        lambda: ([delta.abs() for delta in prepared(layer)] for layer in walk()),
        lambda count: [rank_of_threshold(count, settings.density)],
    )
    return [low for (low,) in magnitudes]


def elect_and_merge(trimmed: Tensor, join: Join, weights: Sequence[float]) -> Tensor:
    """Join the entries whose sign is that of their weighted sum over experts; `trimmed` has shape (T, ...).

    Where the entries cancel exactly no sign is elected and nothing is added. The authors' program gives such a
    position the sign that most positions of the whole model have; adding nothing keeps the method symmetric.
    """
    shares = trimmed.new_tensor(weights).view(-1, *[1] * (trimmed.dim() - 1))
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
