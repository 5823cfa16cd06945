"""A task vector kept as two factors, as a LoRA adapter gives it."""

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


def dense(delta: TaskVector) -> Tensor:
    """A task vector as one tensor."""
    return delta.dense() if isinstance(delta, LowRank) else delta
