"""WUDI on the quadratic against the published form of the loss through autograd."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from wudi import Layer, Recipe

T = TypeVar("T")
EXPERTS = 8
STEPS = 300
LEARNING_RATE = 1e-5
PUBLISHED_STEPS = 6
"""The published form is timed over few steps, which all cost the same, and its figure is for 300."""

SHAPES = [(768, 768), (3072, 768), (768, 3072)]


def published_steps(deltas: Sequence[Tensor], steps: int) -> Tensor:
    """The loss as the paper writes it, out × out products and all, descended with autograd and Adam."""
    merged = torch.stack(tuple(deltas)).sum(dim=0).requires_grad_()
    optimizer = torch.optim.Adam([merged], lr=LEARNING_RATE)
    stacked = torch.stack(tuple(deltas))
    norms = stacked.square().sum(dim=(1, 2))
    for _ in range(steps):
        optimizer.zero_grad()
        products = (merged - stacked) @ stacked.transpose(1, 2)
        (products.square() / norms[:, None, None]).sum().backward()
        optimizer.step()
    return merged.detach()


def compare(shape: tuple[int, int], device: torch.device) -> dict[str, str]:
    """One row of the table: seconds of both forms, their ratio, and how far their updates differ."""
    generator = torch.Generator().manual_seed(0)
    deltas = [(torch.randn(shape, generator=generator) * 1e-3).to(device) for _ in range(EXPERTS)]
    start = torch.stack(deltas).sum(dim=0)
    layer = Layer(deltas=deltas)
    recipes = {
        steps: Recipe.parse({"method": "wudi", "learning_rate": LEARNING_RATE, "iterations": steps})
        for steps in (1, PUBLISHED_STEPS, STEPS)
    }
    published_steps(deltas, 1), recipes[1].merge(layer)  # the first calls load libraries
    published_seconds, published = timed(lambda: published_steps(deltas, PUBLISHED_STEPS), device)
    ours = recipes[PUBLISHED_STEPS].merge(layer).delta
    seconds, _ = timed(lambda: recipes[STEPS].merge(layer), device)
    published_seconds *= STEPS / PUBLISHED_STEPS
    difference = float((ours - published).norm() / (published - start).norm())
    return {
        "layer (out × in)": f"{shape[0]} × {shape[1]}",
        "published form": f"{published_seconds:.1f} s",
        "this project": f"{seconds:.2f} s",
        "ratio": f"{published_seconds / seconds:.0f} ×",
        "difference of the updates": f"{difference:.0e}",
    }


def timed(work: Callable[[], T], device: torch.device) -> tuple[float, T]:
    """Seconds and result of a call, with the device's queue drained before and after."""
    drain(device)
    started = time.perf_counter()
    result = work()
    drain(device)
    return time.perf_counter() - started, result


def drain(device: torch.device) -> None:
    """Wait for work that a GPU has queued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
