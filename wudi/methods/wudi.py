"""WUDI-Merging: descend the interference from the sum of the task vectors."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from wudi.methods.interference import Interference
from wudi.methods.method import Layer, Method, Update
from wudi.settings import Settings, setting

RELATIVE_LEARNING_RATE = 0.02
"""The learning rate of `auto`, in units of the root mean square of Στᵢ: Adam steps by about its learning rate whatever
the gradient's size, so a fixed rate fits task vectors of one size only."""


@dataclass(frozen=True, kw_only=True)
class WudiSettings(Settings):
    """300 steps of Adam; the published learning rate is 1e-5, here it follows the task vectors' size."""

    iterations: int = setting(300, "steps of Adam", at_least=0)
    learning_rate: float | Literal["auto"] = setting("auto", "Adam's step; auto: 0.02 of the RMS of Στᵢ", above=0)


def wudi(layer: Layer, settings: WudiSettings) -> Update:
    """Minimise Σᵢ ‖(τ − τᵢ)τᵢᵀ‖² / ‖τᵢ‖² by Adam from τ = Σᵢ τᵢ, without data or scaling coefficient."""
    start = torch.stack(tuple(layer.deltas)).sum(dim=0)
    interference = Interference.of(layer.deltas)
    if len(interference.deltas) <= 1:  # one expert, or none that differs from the base, is the minimum already
        return Update(start)
    if settings.learning_rate == "auto":
        merged = descend_in_units(rms(start), start, interference, RELATIVE_LEARNING_RATE, settings.iterations)
    else:
        merged = descend_in_units(1.0, start, interference, settings.learning_rate, settings.iterations)
    return Update(merged, {"loss_before": interference.loss(start), "loss_after": interference.loss(merged)})


def descend_in_units(
    unit: float, start: Tensor, interference: Interference, learning_rate: float, iterations: int
) -> Tensor:
    """`iterations` steps of Adam, with its published betas and epsilon, on the exact gradient, in τ / unit."""
    if unit == 0.0:  # the task vectors cancel to nothing, and so has a relative unit
        return start
    merged = start / unit
    optimizer = torch.optim.Adam([merged], lr=learning_rate)
    gradient = interference.gradient()
    for _ in range(iterations):
        merged.grad = gradient(merged * unit) / unit
        optimizer.step()
    return merged * unit


def rms(tensor: Tensor) -> float:
    """The root mean square of the entries."""
    return float(tensor.square().mean(dtype=torch.float64).sqrt())


METHOD = Method(
    name="wudi",
    source="Cheng et al., Whoever started the interference should end it, ICML 2025, arXiv 2503.08099",
    settings=WudiSettings,
    merge=wudi,
)
