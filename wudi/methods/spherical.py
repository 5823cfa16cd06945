"""Means on the sphere: directions are averaged along great circles, lengths apart."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from wudi.low_rank import norm
from wudi.methods.method import Layer, Method, Update
from wudi.settings import EverywhereSettings, setting

NEARLY_PARALLEL = 0.9995
"""The cosine beyond which mergekit and FusionBench interpolate along the chord."""

KARCHER_STEPS, KARCHER_TOLERANCE = 100, 1e-9
On = Literal["weights", "task_vectors"]


@dataclass(frozen=True, kw_only=True)
class SlerpSettings(EverywhereSettings):
    """Halfway between two experts' weights, as mergekit and FusionBench do it."""

    t: float = setting(0.5, "place on the arc: 0 is the first expert, 1 the second", at_least=0, at_most=1)
    on: On = setting("weights", "what is interpolated: the experts' weights or their task vectors")


def slerp(layer: Layer, settings: SlerpSettings) -> Update:
    """Spherical interpolation of two experts: sin((1 − t)Ω)/sin Ω · θ₁ + sin(tΩ)/sin Ω · θ₂, with Ω their angle.

    Nearly parallel tensors (|cos Ω| > 0.9995), and those of which one is zero, are interpolated along the chord.
    """
    first, second = points(layer, settings.on)
    cosine = float(torch.sum(unit(first.double()) * unit(second.double())))
    shares = (1.0 - settings.t, settings.t)
    if abs(cosine) <= NEARLY_PARALLEL and bool(first.any()) and bool(second.any()):
        angle = math.acos(cosine)
        shares = (math.sin(shares[0] * angle) / math.sin(angle), math.sin(shares[1] * angle) / math.sin(angle))
    return Update(away_from_base(layer, settings.on, first * shares[0] + second * shares[1]))


@dataclass(frozen=True, kw_only=True)
class KarcherSettings(EverywhereSettings):
    """The experts' weights, equally weighted."""

    on: On = setting("weights", "what is averaged: the experts' weights or their task vectors")
    weights: dict[str, float] = setting({}, "weight of each expert, 1 for those not named", at_least=0)


def karcher(layer: Layer, settings: KarcherSettings) -> Update:
    """Karcher mean: the direction of least squared angle to all experts, at their mean length.

    u ← exp_u(Σᵢ wᵢ log_u(uᵢ)) on the unit sphere from the normalised mean, until the step is below 1e-9.
    """
    weights = torch.tensor(layer.weights(settings.weights), dtype=torch.float64)
    tensors = points(layer, settings.on)
    lengths = torch.tensor([norm(tensor) for tensor in tensors], dtype=torch.float64)
    shares = weights * (lengths > 0)
    if not shares.any():
        return Update(away_from_base(layer, settings.on, torch.zeros_like(tensors[0])))
    length = float((weights / weights.sum()) @ lengths)
    directions = [unit(tensor.double()) for tensor in tensors]
    mean = frechet_mean(directions, (shares / shares.sum()).tolist()).to(tensors[0].dtype)
    return Update(away_from_base(layer, settings.on, mean * length))


def frechet_mean(directions: list[Tensor], weights: list[float]) -> Tensor:
    """The point of the unit sphere with the least weighted sum of squared angles to the `directions`."""
    mean = sum(weight * direction for weight, direction in zip(weights, directions, strict=True))
    assert isinstance(mean, Tensor)
    if not mean.norm() > KARCHER_TOLERANCE:  # opposite directions have no mean
        return torch.zeros_like(mean)
    mean = unit(mean)
    for _ in range(KARCHER_STEPS):
        step = torch.zeros_like(mean)
        for weight, direction in zip(weights, directions, strict=True):
            across = direction - (mean * direction).sum() * mean
            sine, cosine = float(across.norm()), float((mean * direction).sum())
            if sine > KARCHER_TOLERANCE:
                step += weight * math.atan2(sine, cosine) / sine * across
        size = float(step.norm())
        if size < KARCHER_TOLERANCE:
            break
        mean = unit(math.cos(size) * mean + math.sin(size) / size * step)
    return mean


def points(layer: Layer, on: On) -> list[Tensor]:
    """The experts' weights, or their task vectors where no base is at hand or they were asked for."""
    if on == "task_vectors" or layer.base is None:
        return layer.dense
    return [layer.base + delta for delta in layer.dense]


def away_from_base(layer: Layer, on: On, point: Tensor) -> Tensor:
    """The merged task vector that leads to a point."""
    return point if on == "task_vectors" or layer.base is None else point - layer.base


def unit(tensor: Tensor) -> Tensor:
    """The tensor divided by its norm; zero stays zero."""
    return tensor / max(norm(tensor), torch.finfo(tensor.dtype).tiny)


METHODS = (
    Method(
        name="slerp",
        source="Shoemake, SIGGRAPH 1985; for two models as in mergekit, arXiv 2403.13257",
        settings=SlerpSettings,
        merge=slerp,
        experts=2,
    ),
    Method(
        name="karcher",
        source="Karcher, 1977; for models as in mergekit, arXiv 2403.13257",
        settings=KarcherSettings,
        merge=karcher,
    ),
)
