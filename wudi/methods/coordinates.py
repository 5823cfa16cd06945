"""Task vectors in coordinates of the small spaces that they span together.

All rows of low-rank task vectors lie in one space of at most Σᵢ rᵢ dimensions, and so do all columns. A method that
turns with its inputs, f(PXQᵀ) = P f(X) Qᵀ for orthonormal P and Q, may work there on matrices of that size: exactly,
and for LoRA experts without any product of out × in × in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from wudi.low_rank import LowRank, TaskVector, rank_bound
from wudi.methods.method import Layer, Update

WORTHWHILE = 0.5
"""The size of the joint space, as a fraction of the side, up to which changing coordinates costs less than it saves."""


@dataclass(frozen=True)
class Coordinates:
    """τᵢ = columns · deltas[i] · rows; None stands for the identity."""

    columns: Tensor | None
    """Orthonormal columns, shape (out, p)."""
    rows: Tensor | None
    """Orthonormal rows, shape (q, in)."""
    deltas: list[Tensor]
    """The task vectors themselves, shape (p, q)."""

    @classmethod
    def of(cls, deltas: Sequence[TaskVector]) -> "Coordinates":
        """The joint spaces of some task vectors, where they are small enough to be worth while."""
        out, width = deltas[0].shape
        rank = sum(rank_bound(delta) for delta in deltas)
        columns = rows = None
        if 0 < rank <= WORTHWHILE * out:
            columns = torch.linalg.qr(torch.cat([column_factor(delta) for delta in deltas], dim=1)).Q
        if 0 < rank <= WORTHWHILE * width:
            rows = torch.linalg.qr(torch.cat([column_factor(delta.T) for delta in deltas], dim=1)).Q.T
        return cls(columns, rows, [coordinates(delta, columns, rows) for delta in deltas])

    def expand(self, delta: Tensor) -> Tensor:
        """The tensor of shape (out, in) that has these coordinates."""
        if self.columns is not None:
            delta = self.columns @ delta
        return delta if self.rows is None else delta @ self.rows

    def factored(self, delta: Tensor) -> TaskVector:
        """The same, kept as factors where the rows or columns are in a smaller space."""
        if self.rows is not None:
            return LowRank(delta if self.columns is None else self.columns @ delta, self.rows)
        return delta if self.columns is None else LowRank(self.columns, delta)


def column_factor(delta: TaskVector) -> Tensor:
    """A matrix whose columns span those of a task vector."""
    return delta.left if isinstance(delta, LowRank) else delta


def coordinates(delta: TaskVector, columns: Tensor | None, rows: Tensor | None) -> Tensor:
    """columnsᵀ · τ · rowsᵀ, from the outside in, so that factors are never multiplied out."""
    left, right = (delta.left, delta.right) if isinstance(delta, LowRank) else (delta, None)
    if columns is not None:
        left = columns.T @ left
    if right is None:
        return left if rows is None else left @ rows.T
    return left @ (right if rows is None else right @ rows.T)


def in_joint_space(merge: Callable[[Layer, Any], Update]) -> Callable[[Layer, Any], Update]:
    """Let a method that turns with its inputs work in the coordinates of the experts' joint space.

    The method sees those coordinates as `layer.deltas` and the tensor's own shape as `layer.shape`.
    """

    @wraps(merge)
    def merge_coordinates(layer: Layer, settings: Any) -> Update:
        joint = Coordinates.of(layer.deltas)
        inside = replace(layer, deltas=joint.deltas, full_shape=layer.shape)
        update = merge(inside, settings)
        return replace(update, delta=joint.expand(update.delta))

    return merge_coordinates
