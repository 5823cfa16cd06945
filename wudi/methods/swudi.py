"""SWUDI: WUDI's early-stopped descent as a spectral filter, in closed form."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from wudi.methods.interference import Interference
from wudi.methods.method import Layer, Method, Update
from wudi.settings import Settings, setting

EIGENVALUE_FLOOR = 1e-8


@dataclass(frozen=True, kw_only=True)
class SwudiSettings(Settings):
    """t = 300 with 65 % of the directions; the authors advise 85 % for language models."""

    time: float = setting(300.0, "time t of the gradient flow", at_least=0)
    ratio: float = setting(0.65, "fraction of the input directions that are kept", above=0, at_most=1)


def swudi(layer: Layer, settings: SwudiSettings) -> Update:
    """τ = τ₀ − τ₀VfVᵀ + DV(f/Λ)Vᵀ with C = VΛVᵀ, τ₀ = Στᵢ and f = (1 − e^{−tλ}) on the top directions."""
    start = torch.stack(tuple(layer.deltas)).sum(dim=0)
    interference = Interference.of(layer.deltas)
    if not interference.deltas:  # no expert differs from the base here
        return Update(start)
    covariance, target = interference.moments()
    eigenvalues, vectors = torch.linalg.eigh(covariance)
    eigenvalues = eigenvalues.clamp(min=EIGENVALUE_FLOOR)
    filtered = exponential_filter(eigenvalues, settings.time, math.ceil(settings.ratio * len(eigenvalues)))
    merged = start + ((target @ vectors) / eigenvalues - start @ vectors) * filtered @ vectors.T
    return Update(merged, {"loss_before": interference.loss(start), "loss_after": interference.loss(merged)})


def exponential_filter(eigenvalues: Tensor, time: float, keep: int) -> Tensor:
    """1 − e^{−tλ} for the `keep` largest of the ascending eigenvalues, 0 for the others."""
    filtered = -torch.expm1(-time * eigenvalues)
    filtered[: len(eigenvalues) - keep] = 0.0
    return filtered


METHOD = Method(
    name="swudi",
    source="arXiv 2606.07289",
    settings=SwudiSettings,
    merge=swudi,
)
