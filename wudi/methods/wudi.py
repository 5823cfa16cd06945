"""WUDI-Merging: descend the interference from the sum of the task vectors."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from wudi.methods.interference import Interference
from wudi.methods.method import Layer, Method, Survey, Update
from wudi.settings import Settings, setting

RELATIVE_LEARNING_RATE = 0.02
"""`learning_rate: auto` is this times the root mean square of Στᵢ: Adam steps by about its learning rate whatever
the gradient's size, so a fixed rate fits task vectors of one size only."""


@dataclass(frozen=True, kw_only=True)
class WudiSettings(Settings):
    """300 steps of Adam; the published learning rate is 1e-5, here it follows the task vectors' size."""

    iterations: int = setting(300, "steps of Adam", at_least=0)
    learning_rate: float | Literal["auto"] = setting("auto", "Adam's step; auto: 0.02 of the RMS of Στᵢ", above=0)


def wudi(layer: Layer, settings: WudiSettings, survey: Survey | None = None) -> Update:
    """Minimise Σᵢ ‖(τ − τᵢ)τᵢᵀ‖² / ‖τᵢ‖² by Adam from τ = Σᵢ τᵢ, without data or scaling coefficient."""
    start = torch.stack(tuple(layer.deltas)).sum(dim=0)
    interference = Interference.of(layer.deltas)
    if not interference.deltas:
        return Update(start)
    learning_rate = settings.learning_rate
    if learning_rate == "auto":
        learning_rate = RELATIVE_LEARNING_RATE * float(start.square().mean().sqrt())
    merged = descend(start, interference, learning_rate, settings.iterations)
    return Update(merged, {"loss_before": interference.loss(start), "loss_after": interference.loss(merged)})


def descend(start: Tensor, interference: Interference, learning_rate: float, iterations: int) -> Tensor:
    """`iterations` steps of Adam, with its published betas and epsilon, on the exact gradient."""
    merged = start.clone()
    if learning_rate == 0.0:  # the task vectors cancel to nothing, and so has a relative rate
        return merged
    optimizer = torch.optim.Adam([merged], lr=learning_rate)
    gradient = interference.gradient()
    for _ in range(iterations):
        merged.grad = gradient(merged)
        optimizer.step()
    return merged


METHOD = Method(
    name="wudi",
    source="Cheng et al., Whoever started the interference should end it, ICML 2025, arXiv 2503.08099",
    settings=WudiSettings,
    merge=wudi,
)
