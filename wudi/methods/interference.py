"""The interference that WUDI minimises, as the quadratic that it is.

With wᵢ = 1/‖τᵢ‖²_F, a linear layer's interference (Cheng et al., ICML 2025, equation 10) is

    L(τ) = Σᵢ wᵢ ‖(τ − τᵢ) τᵢᵀ‖²_F,      ∇L(τ) = 2(τC − D),
    C = Σᵢ wᵢ τᵢᵀτᵢ  (in × in),           D = Σᵢ wᵢ τᵢ τᵢᵀτᵢ  (out × in),

so C and D are all that a solver needs. An expert whose task vector is zero has no interference and is left out.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from wudi.low_rank import LowRank, TaskVector, squared_norm
from wudi.methods.method import Layer, Update
from wudi.methods.quadratic import Factors, Moments, Quadratic, Term, quadratic


def terms(deltas: Sequence[TaskVector]) -> list[Term]:
    """The terms of the interference, one for each task vector that is not zero."""
    weighed = [(delta, squared_norm(delta)) for delta in deltas]
    return [Term(delta, projector(delta), 1.0 / norm) for delta, norm in weighed if norm > 0]


def interference(deltas: Sequence[TaskVector]) -> Moments | Factors | None:
    """The interference of one linear layer; None where no expert differs from the base."""
    found = terms(deltas)
    return quadratic(found) if found else None


def projector(delta: TaskVector) -> Tensor:
    """P with ‖XPᵀ‖ = ‖Xτᵀ‖ for every X: τ itself, or R · right where left = QR, which has r rows instead of out."""
    if not isinstance(delta, LowRank):
        return delta
    if delta.rank >= delta.shape[0]:
        return delta.dense()
    return torch.linalg.qr(delta.left, mode="r").R @ delta.right


def measure(layer: Layer, merged: Tensor, form: Quadratic | None = None) -> dict[str, float]:
    """L at the sum of the task vectors, at their mean, and at the merged result."""
    form = form or interference(layer.deltas)
    if form is None:
        return {}
    points = {"sum": layer.sum, "mean": layer.mean, "result": lambda: merged}
    return {f"interference_{name}": form.loss(point().to(form.dtype)) for name, point in points.items()}


def measured(layer: Layer, merged: Tensor, form: Quadratic, **more: float) -> Update:
    """A merged task vector with its interference, and with what else the method measured."""
    return Update(merged, {**measure(layer, merged, form), **more})
