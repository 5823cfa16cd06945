"""A task vector kept as two factors, as a LoRA adapter gives it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LowRank:
    """τ = left · right, of shapes (out, r) and (r, in); the adapter's own scaling is in the factors already."""

    left: Tensor
    right: Tensor

    @classmethod
    def zero(cls, shape: tuple[int, ...], like: Tensor) -> "LowRank":
        """The task vector of rank 0 that changes nothing, in the dtype and on the device of `like`."""
        rows, columns = shape
        return cls(like.new_zeros(rows, 0), like.new_zeros(0, columns))

    @property
    def shape(self) -> torch.Size:
        """(out, in)."""
        return torch.Size((self.left.shape[0], self.right.shape[1]))

    @property
    def rank(self) -> int:
        """The number of columns of `left`: a bound on the rank of the product."""
        return self.left.shape[1]

    @property
    def T(self) -> "LowRank":  # noqa: N802 - as torch names it
        """The transpose, factored too."""
        return LowRank(self.right.T, self.left.T)

    def dense(self) -> Tensor:
        """The product, shape (out, in)."""
        return self.left @ self.right

    def any(self) -> bool:
        """Whether the product has an entry that is not zero."""
        return self.rank > 0 and bool(self.left.any()) and bool(self.right.any()) and bool(self.dense().any())


TaskVector = Tensor | LowRank

CANCELLED = 1e-14
"""Of ‖left‖² ‖right‖²: a product whose squared norm is below that is nothing but rounding."""


def dense(delta: TaskVector) -> Tensor:
    """A task vector as one tensor."""
    return delta.dense() if isinstance(delta, LowRank) else delta


def precise(delta: TaskVector) -> TaskVector:
    """The task vector in float32 at least, apart from any graph of gradients."""
    if isinstance(delta, LowRank):
        return LowRank(raised(delta.left), raised(delta.right))
    return raised(delta)


def raised(tensor: Tensor) -> Tensor:
    """A tensor in float32, or in float64 if it was."""
    return tensor.detach().to(torch.promote_types(tensor.dtype, torch.float32))


def rank_bound(delta: TaskVector) -> int:
    """The largest rank that a matrix of this shape, or with these factors, can have."""
    return min(*delta.shape, delta.rank) if isinstance(delta, LowRank) else min(delta.shape)


def squared_norm(delta: TaskVector) -> float:
    """‖τ‖²_F in float64; of factors by their r × r Gram matrices, and 0 where those cancel to rounding."""
    if isinstance(delta, LowRank):
        left, right = delta.left.double(), delta.right.double()
        found = float(((left.T @ left) * (right @ right.T)).sum())
        return found if found > CANCELLED * float(left.square().sum() * right.square().sum()) else 0.0
    return norm(delta) ** 2


def norm(tensor: Tensor) -> float:
    """The Frobenius norm, summed in float64: float32 sums of millions of squares lose their third digit."""
    return float(torch.linalg.vector_norm(tensor, dtype=torch.float64))


def weighted_sum(deltas: Sequence[TaskVector], weights: Sequence[float]) -> Tensor:
    """Σᵢ wᵢτᵢ as one tensor; all factors join in a single product."""
    total = torch.zeros(deltas[0].shape, dtype=dtype_of(deltas[0]), device=device_of(deltas[0]))
    for delta, weight in zip(deltas, weights, strict=True):
        if not isinstance(delta, LowRank):
            total.add_(delta, alpha=weight)
    factored = [(delta, weight) for delta, weight in zip(deltas, weights, strict=True) if isinstance(delta, LowRank)]
    if factored:
        left = torch.cat([delta.left * weight for delta, weight in factored], dim=1)
        total.addmm_(left, torch.cat([delta.right for delta, _ in factored]))
    return total


def dtype_of(delta: TaskVector) -> torch.dtype:
    """The dtype of a task vector's entries."""
    return delta.left.dtype if isinstance(delta, LowRank) else delta.dtype


def device_of(delta: TaskVector) -> torch.device:
    """The device that a task vector lies on."""
    return delta.left.device if isinstance(delta, LowRank) else delta.device
