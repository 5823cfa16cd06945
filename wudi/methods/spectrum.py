"""The spectrum of the interference's C, and how many of its directions count."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

NULL = 1e-12
"""Eigenvalues below this fraction of the largest are rounding, in float64."""

RankRule = Literal["participation_sqrt", "gavish_donoho", "stable_rank", "entropy", "cumulative_variance"]


@dataclass(frozen=True)
class Spectrum:
    """C = VΛVᵀ, largest eigenvalue first, of a layer with `width` inputs; directions without weight are left out."""

    eigenvalues: Tensor
    """Shape (q,), all above 0."""
    vectors: Tensor
    """Shape (in or fewer, q)."""
    width: int

    @classmethod
    def of(cls, covariance: Tensor, width: int, null: float = NULL) -> "Spectrum":
        """The eigendecomposition of a symmetric C ≥ 0, which may be in coordinates of a smaller space."""
        eigenvalues, vectors = torch.linalg.eigh(covariance)
        eigenvalues, vectors = eigenvalues.flip(0), vectors.flip(1)
        present = int((eigenvalues > null * eigenvalues[0]).sum())
        return cls(eigenvalues[:present], vectors[:, :present], width)

    def top(self, count: int) -> "Spectrum":
        """The largest eigenvalues alone."""
        return Spectrum(self.eigenvalues[:count], self.vectors[:, :count], self.width)


def rank_of(rule: RankRule, spectrum: Spectrum, shape: tuple[int, ...], variance: float) -> int:
    """How many directions a rule keeps: at least 1, at most all.

    Args:
        rule: Its name; the formulas are those of the SWUDI authors' program.
        spectrum: Of the layer's C.
        shape: (out, in) of the layer.
        variance: The fraction that `cumulative_variance` keeps.
    """
    values = spectrum.eigenvalues.double()
    match rule:
        case "participation_sqrt":
            count = math.ceil(float(values.sqrt().sum() ** 2 / values.sum()))
        case "stable_rank":
            count = math.ceil(float(values.square().sum() / values[0] ** 2))
        case "entropy":
            shares = values / values.sum()
            count = math.ceil(float(torch.exp(-(shares * shares.log()).sum())))
        case "cumulative_variance":
            count = int((values.cumsum(0) / values.sum() < variance).sum()) + 1
        case "gavish_donoho":
            sizes = torch.zeros(spectrum.width, dtype=torch.float64, device=values.device)
            sizes[: len(values)] = values.sqrt()
            count = int((sizes > gavish_donoho(shape) * sizes.median()).sum())
    return min(max(count, 1), len(values))


def gavish_donoho(shape: tuple[int, ...]) -> float:
    """The hard threshold on singular values, in units of their median (Gavish and Donoho, 2014), for β = min/max side.

    λ*(β)/μ(β), with the authors' proxies for the median of the Marchenko–Pastur law: μ² = (1 − β)² + β, and
    2 + √3 at β = 1.
    """
    beta = min(shape) / max(shape)
    optimal = math.sqrt(2 * (beta + 1) + 8 * beta / (beta + 1 + math.sqrt(beta**2 + 14 * beta + 1)))
    median = (1 - beta) ** 2 + beta if beta < 1 else 2 + math.sqrt(3)
    return optimal / math.sqrt(median)


Filter = Callable[[Tensor], Tensor]
"""From eigenvalues λ to f(λ)/λ, for the fraction f of the way to the minimum that a direction goes."""
