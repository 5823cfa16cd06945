"""A quadratic in the merged task vector, L(τ) = Σᵢ wᵢ ‖(τ − Tᵢ)Pᵢᵀ‖²_F: its gradient and its value, in two forms.

Its rows are independent of one another, so a solver may take them block by block.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from wudi.low_rank import LowRank, TaskVector, dense, norm

ALL = slice(None)


class Gradient(Protocol):
    """∇L of a block of rows, as a function of that block of τ."""

    def __call__(self, merged: Tensor, out: Tensor | None = None) -> Tensor:
        """Write the gradient into `out` where it is given: fresh memory at every step costs a tenth of the step."""


@dataclass(frozen=True)
class Term:
    """w ‖(τ − T)Pᵀ‖²_F: the target has shape (out, in), the projector (k, in)."""

    target: TaskVector
    projector: Tensor
    weight: float

    def cross(self) -> Tensor:
        """TPᵀ, shape (out, k)."""
        if isinstance(self.target, LowRank):
            return self.target.left @ (self.target.right @ self.projector.T)
        return self.target @ self.projector.T


class Quadratic(Protocol):
    """What a solver needs."""

    dtype: torch.dtype
    block: int
    """Entries of τ that a solver best takes at a time, a block of rows."""

    def gradient(self, rows: slice = ALL) -> Gradient:
        """∇L of a block of rows."""

    def loss(self, merged: Tensor) -> float:
        """L(τ)."""


class Moments:
    """∇L = 2(τC − D) with C = Σ wᵢPᵢᵀPᵢ (in × in) and D = Σ wᵢTᵢPᵢᵀPᵢ (out × in).

    One product of out · in · in a gradient, whatever the number of terms.
    """

    block = 1 << 22  # large enough for the product to run at full speed

    def __init__(self, terms: Sequence[Term], dtype: torch.dtype | None = None) -> None:
        self.dtype = dtype or terms[0].projector.dtype
        width = terms[0].projector.shape[1]
        self.covariance = terms[0].projector.new_zeros(width, width, dtype=self.dtype)
        self.target = terms[0].projector.new_zeros(terms[0].target.shape, dtype=self.dtype)
        self.constant = 0.0
        for term in terms:
            projector = term.projector.to(self.dtype)
            gram = (projector.T @ projector).mul_(term.weight)
            self.covariance += gram
            if term.target is term.projector:  # as in the interference itself: ⟨T gram, T⟩ = ‖gram‖² / w
                self.target.addmm_(projector, gram)
                self.constant += norm(gram) ** 2 / term.weight
            else:
                target = dense(term.target).to(self.dtype)
                product = target @ gram
                self.target += product
                self.constant += total(product.mul_(target))

    def gradient(self, rows: slice = ALL) -> Gradient:
        """2(τC − D)."""
        target = self.target[rows]

        def at(merged: Tensor, out: Tensor | None = None) -> Tensor:
            return torch.addmm(target, merged, self.covariance, beta=-2.0, alpha=2.0, out=out)

        return at

    def curvature(self) -> Callable[[Tensor], Tensor]:
        """X ↦ XC."""
        return lambda block: block @ self.covariance

    def loss(self, merged: Tensor) -> float:
        """⟨τC − 2D, τ⟩ + L(0): exact to rounding of L(0), which is what the sum loses digits of."""
        slope = torch.addmm(self.target, merged, self.covariance, beta=-2.0)
        return max(total(slope * merged) + self.constant, 0.0)


class Factors:
    """∇L = 2 Σᵢ wᵢ(τPᵢᵀ − TᵢPᵢᵀ)Pᵢ: two products of out · k · in a term, and no in × in matrix."""

    def __init__(self, terms: Sequence[Term]) -> None:
        self.dtype = terms[0].projector.dtype
        thin = [term for term in terms if isinstance(term.target, LowRank)]
        thick = [term for term in terms if not isinstance(term.target, LowRank)]
        # Thin products are so fast that the block and the optimizer's state should stay in the cache.
        self.block = 1 << 22 if thick else 1 << 20
        self.parts = [(term.projector, term.cross(), term.weight) for term in thick]
        if thin:  # many thin projectors are one that is less thin, and fewer, larger products
            projector = torch.cat([term.projector * term.weight**0.5 for term in thin])
            cross = torch.cat([term.cross() * term.weight**0.5 for term in thin], dim=1)
            self.parts.append((projector, cross, 1.0))

    def gradient(self, rows: slice = ALL) -> Gradient:
        """2 Σ w(τPᵀ − TPᵀ)P."""
        parts = [(projector, cross[rows], weight) for projector, cross, weight in self.parts]

        def at(merged: Tensor, out: Tensor | None = None) -> Tensor:
            total = torch.zeros_like(merged) if out is None else out.zero_()
            for projector, cross, weight in parts:
                total.addmm_(torch.addmm(cross, merged, projector.T, beta=-1.0), projector, alpha=2.0 * weight)
            return total

        return at

    def curvature(self) -> Callable[[Tensor], Tensor]:
        """X ↦ XC = Σ w(XPᵀ)P."""

        def at(block: Tensor) -> Tensor:
            total = torch.zeros_like(block)
            for projector, _, weight in self.parts:
                total.addmm_(block @ projector.T, projector, alpha=weight)
            return total

        return at

    def loss(self, merged: Tensor) -> float:
        """Σ w ‖τPᵀ − TPᵀ‖², which loses no digits where L is small."""
        return sum(
            weight * total(torch.addmm(cross, merged, projector.T, beta=-1.0).square())
            for projector, cross, weight in self.parts
        )


def quadratic(terms: Sequence[Term]) -> Moments | Factors:
    """The form whose gradient takes fewer operations: out · in · in, or 2 Σ kᵢ · out · in."""
    width = terms[0].projector.shape[1]
    thin = 2 * sum(term.projector.shape[0] for term in terms) < width
    return Factors(terms) if thin else Moments(terms)


def total(matrix: Tensor) -> float:
    """The sum of the entries in float64, by rows: the order of a sum over all would be that of as many threads."""
    return math.fsum(matrix.sum(dim=-1, dtype=torch.float64).tolist())
