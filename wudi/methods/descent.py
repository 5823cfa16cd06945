"""Gradient descent on a quadratic, its rows block by block."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wudi.methods.quadratic import Quadratic

Optimizer = Callable[[Tensor], torch.optim.Optimizer]


@dataclass(frozen=True)
class Adam:
    """Adam with its published betas, in units: a step is about `rate` · `unit`, and epsilon is 1e-8 of the unit."""

    rate: float
    unit: float = 1.0

    def __call__(self, block: Tensor) -> torch.optim.Optimizer:
        """The optimizer of a block of rows."""
        return torch.optim.Adam([block], lr=self.rate * self.unit, eps=1e-8 * self.unit, fused=True)


@dataclass(frozen=True)
class Momentum:
    """Gradient descent with momentum 0.9."""

    rate: float

    def __call__(self, block: Tensor) -> torch.optim.Optimizer:
        """The optimizer of a block of rows."""
        return torch.optim.SGD([block], lr=self.rate, momentum=0.9, fused=True)


def descend(merged: Tensor, form: Quadratic, optimizer: Optimizer, iterations: int) -> Tensor:
    """Take `iterations` steps from `merged`, shape (out, in), on the exact gradient, in its own memory.

    Gradient and optimizer state are of a block of rows, so that C and D are all that comes on top of `merged`.
    """
    for rows in blocks(merged, form.block):
        block, gradient = merged[rows], form.gradient(rows)
        block.grad = torch.empty_like(block)
        stepper = optimizer(block)
        for _ in range(iterations):
            gradient(block, out=block.grad)
            stepper.step()
    return merged


def blocks(tensor: Tensor, entries: int) -> list[slice]:
    """Slices of rows of about so many entries, and at least 64 rows."""
    count, width = tensor.shape
    step = max(64, entries // max(width, 1))
    return [slice(first, min(first + step, count)) for first in range(0, count, step)]
