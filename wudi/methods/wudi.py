"""WUDI-Merging and OptMerge: descend the interference step by step."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from wudi.low_rank import TaskVector, squared_norm
from wudi.methods.coordinates import Coordinates
from wudi.methods.descent import Adam, Momentum, Optimizer, descend
from wudi.methods.interference import interference, measured
from wudi.methods.method import Layer, Method, Update
from wudi.methods.quadratic import Term, quadratic
from wudi.settings import Settings, setting

RELATIVE_LEARNING_RATE = 0.02
"""Adam's learning rate of `auto`, in units of the task vectors' `size`: Adam steps by about its learning rate whatever
the gradient's size, so a fixed rate fits task vectors of one size only."""

MOMENTUM_LEARNING_RATE = 1e-4
"""The published rate of gradient descent, whose steps follow the size of the gradient by themselves."""


@dataclass(frozen=True, kw_only=True)
class WudiSettings(Settings):
    """300 steps of Adam; the published learning rate is 1e-5, here it follows the task vectors' size."""

    iterations: int = setting(300, "steps of Adam", at_least=0)
    learning_rate: float | Literal["auto"] = setting("auto", "Adam's step; auto: 0.02 of √(Σ‖τᵢ‖² / entries)", above=0)


def wudi(layer: Layer, settings: WudiSettings) -> Update:
    """Minimise Σᵢ ‖(τ − τᵢ)τᵢᵀ‖² / ‖τᵢ‖² by Adam from τ = Σᵢ τᵢ, without data or scaling coefficient."""
    form = interference(layer.deltas)
    start = layer.sum()
    if form is None or alone(layer):  # the sum is the minimum already
        return Update(start)
    merged = descend(start, form, adam(settings.learning_rate, layer), settings.iterations)
    return measured(layer, merged, form, iterations=settings.iterations)


@dataclass(frozen=True, kw_only=True)
class OptmergeSettings(Settings):
    """The published variant for full fine-tunes: Adam from the sum; the other, for LoRA, is SGD from the mean."""

    optimizer: Literal["adam", "sgd"] = setting("adam", "adam from Στᵢ, or sgd with momentum 0.9 from the mean")
    iterations: int = setting(300, "steps of the optimizer", at_least=0)
    learning_rate: float | Literal["auto"] = setting(
        "auto", "the optimizer's step; auto: 0.02 of √(Σ‖τᵢ‖² / entries) with adam, 1e-4 with sgd", above=0
    )
    ratio: float | Literal["auto"] = setting(
        "auto", "rank of the truncation, as a fraction of the smaller side; auto: 1/T", above=0, at_most=1
    )


def optmerge(layer: Layer, settings: OptmergeSettings) -> Update:
    """Minimise Σᵢ ‖(τ − Tᵢ)Pᵢᵀ‖² / ‖τᵢ‖² with targets and projectors truncated by SVD to rank min(out, in)/T.

    Pᵢ = S_KV_Kᵀ of τᵢ. With adam Tᵢ = rank-K(τᵢ − mean) + mean and the start is Στᵢ; with sgd Tᵢ = rank-K(τᵢ) and the
    start is the mean.
    """
    adaptive = settings.optimizer == "adam"
    start = layer.sum() if adaptive else layer.mean()
    norms = [squared_norm(delta) for delta in layer.deltas]
    if not any(norms) or (adaptive and alone(layer)):
        return Update(start)
    rank = truncation_rank(layer, settings.ratio)
    joint = Coordinates.of(layer.deltas)
    centre = torch.stack(joint.deltas).mean(dim=0) if adaptive else torch.zeros_like(joint.deltas[0])
    terms = [
        Term(target, projector, 1.0 / norm)
        for delta, norm in zip(joint.deltas, norms, strict=True)
        if norm > 0
        for target, projector in [truncated(delta, centre, rank, joint)]
    ]
    optimizer: Optimizer = adam(settings.learning_rate, layer) if adaptive else Momentum(sgd_rate(settings))
    merged = descend(start, quadratic(terms), optimizer, settings.iterations)
    form = interference(layer.deltas)
    assert form is not None  # some norm is above 0
    return measured(layer, merged, form, iterations=settings.iterations, rank=rank)


def truncated(delta: Tensor, centre: Tensor, rank: int, joint: Coordinates) -> tuple[TaskVector, Tensor]:
    """Tᵢ, shape (out, in), and Pᵢ, shape (K, in), of an expert with these coordinates."""
    left, sizes, right = svd(delta)
    kept = min(rank, len(sizes))
    if centre.any():
        left, sizes_rest, right_rest = svd(delta - centre)
    else:
        sizes_rest, right_rest = sizes, right
    target = joint.factored((left[:, :kept] * sizes_rest[:kept]) @ right_rest[:kept] + centre)
    projector = sizes[:kept, None] * right[:kept]
    return target, projector if joint.rows is None else projector @ joint.rows


def svd(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """U, S and Vᵀ, of no more columns and rows than the smaller side."""
    left, sizes, right = torch.linalg.svd(matrix, full_matrices=False)
    return left, sizes, right


def truncation_rank(layer: Layer, ratio: float | Literal["auto"]) -> int:
    """K = ⌊min(out, in) / T⌋, or of the given ratio; at least 1."""
    smaller = min(layer.shape)
    return max(1, smaller // len(layer.deltas) if ratio == "auto" else int(smaller * ratio))


def alone(layer: Layer) -> bool:
    """Whether at most one expert differs from the base: its task vector has no interference with any other."""
    return sum(squared_norm(delta) > 0 for delta in layer.deltas) <= 1


def adam(rate: float | Literal["auto"], layer: Layer) -> Adam:
    """Adam at a given rate, or at one relative to the size of the task vectors."""
    return Adam(RELATIVE_LEARNING_RATE, size(layer)) if rate == "auto" else Adam(rate)


def size(layer: Layer) -> float:
    """√(Σᵢ ‖τᵢ‖² / entries): the RMS of the sum of task vectors that have nothing to do with one another.

    The RMS of Στᵢ itself would be nothing where task vectors cancel, and there is most to do there.
    """
    return math.sqrt(sum(squared_norm(delta) for delta in layer.deltas) / math.prod(layer.shape))


def sgd_rate(settings: OptmergeSettings) -> float:
    """The step of gradient descent."""
    return MOMENTUM_LEARNING_RATE if settings.learning_rate == "auto" else settings.learning_rate


METHODS = (
    Method(
        name="wudi",
        source="Cheng et al., Whoever started the interference should end it, ICML 2025, arXiv 2503.08099",
        settings=WudiSettings,
        merge=wudi,
    ),
    Method(
        name="optmerge",
        source="Wei et al., OptMerge, ICLR 2026, arXiv 2505.19892",
        settings=OptmergeSettings,
        merge=optmerge,
    ),
)
