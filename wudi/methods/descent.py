"""Gradient descent on a quadratic, its rows block by block."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wudi.methods.quadratic import Quadratic

BLOCK = 1 << 18
"""Entries of a block on a CPU: the optimizer's state of a block stays in the cache over all its steps."""

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


def descend(start: Tensor, form: Quadratic, optimizer: Optimizer, iterations: int) -> Tensor:
    """Take `iterations` steps from `start`, shape (out, in), on the exact gradient."""
    merged = start.clone()
    for rows in blocks(merged):
        block, gradient = merged[rows], form.gradient(rows)
        stepper = optimizer(block)
        for _ in range(iterations):
            block.grad = gradient(block)
            stepper.step()
    return merged


def blocks(tensor: Tensor) -> list[slice]:
    """Slices of rows: on a GPU all of them at once, on a CPU as many as the cache holds, and at least 64."""
    count, width = tensor.shape
    if tensor.is_cuda:
        return [slice(0, count)]
    step = max(64, BLOCK // max(width, 1))
    return [slice(first, min(first + step, count)) for first in range(0, count, step)]


def rms(tensor: Tensor) -> float:
    """The root mean square of the entries."""
    return float(tensor.square().mean(dtype=torch.float64).sqrt())
