"""The interference that WUDI minimises, as the quadratic that it is.

With wᵢ = 1/‖τᵢ‖²_F, a linear layer's interference (Cheng et al., ICML 2025, equation 10) is

    L(τ) = Σᵢ wᵢ ‖(τ − τᵢ) τᵢᵀ‖²_F,      ∇L(τ) = 2(τC − D),
    C = Σᵢ wᵢ τᵢᵀτᵢ  (in × in),           D = Σᵢ wᵢ τᵢ τᵢᵀτᵢ  (out × in),

so C and D are all that a solver needs. An expert whose task vector is zero has no interference and is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Interference:
    """The interference of one linear layer; `deltas[i]` has shape (out, in)."""

    deltas: Sequence[Tensor]
    weights: Sequence[float]

    @classmethod
    def of(cls, deltas: Sequence[Tensor]) -> "Interference":
        """Weigh each task vector by 1/‖τᵢ‖²_F and drop those that are zero."""
        norms = [float(delta.square().sum(dtype=torch.float64)) for delta in deltas]
        present = [(delta, 1.0 / norm) for delta, norm in zip(deltas, norms, strict=True) if norm > 0]
        return cls([delta for delta, _ in present], [weight for _, weight in present])

    def moments(self) -> tuple[Tensor, Tensor]:
        """C, shape (in, in), and D, shape (out, in)."""
        rows, columns = self.deltas[0].shape
        covariance = self.deltas[0].new_zeros(columns, columns)
        target = self.deltas[0].new_zeros(rows, columns)
        for delta, weight in zip(self.deltas, self.weights, strict=True):
            gram = (delta.T @ delta) * weight
            covariance += gram
            target += delta @ gram
        return covariance, target

    def gradient(self) -> Callable[[Tensor], Tensor]:
        """∇L as a function of τ, by whichever products are fewer.

        With C and D at hand a gradient is one product of out · in · in. Where `in` is so large that
        2T · out < in, 2Σᵢ wᵢ ((τ − τᵢ) τᵢᵀ) τᵢ is cheaper, at 2T products of out · in · out, and C is never formed.
        """
        rows, columns = self.deltas[0].shape
        if 2 * len(self.deltas) * rows < columns:
            return self.gradient_by_experts
        covariance, target = self.moments()
        return lambda merged: torch.addmm(target, merged, covariance, beta=-2.0, alpha=2.0)

    def gradient_by_experts(self, merged: Tensor) -> Tensor:
        """2Σᵢ wᵢ ((τ − τᵢ) τᵢᵀ) τᵢ."""
        total = torch.zeros_like(merged)
        for delta, weight in zip(self.deltas, self.weights, strict=True):
            total.addmm_((merged - delta) @ delta.T, delta, alpha=2.0 * weight)
        return total

    def loss(self, merged: Tensor) -> float:
        """L(τ), summed expert by expert, which loses no digits where L is small."""
        total = 0.0
        for delta, weight in zip(self.deltas, self.weights, strict=True):
            total += weight * float(((merged - delta) @ delta.T).square().sum(dtype=torch.float64))
        return total
