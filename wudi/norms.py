"""The size of a task vector: how long it is, and over how many directions it spreads."""

import math

import torch
from torch import Tensor

from wudi.low_rank import LowRank, TaskVector, squared_norm

EXACT = 1024
"""Up to this smaller side the spectral norm of a dense matrix comes from all eigenvalues of its Gram matrix."""
TOLERANCE = 1e-4
ITERATIONS = 1000


def frobenius(delta: TaskVector) -> float:
    """The Frobenius norm; the product of factors is not formed for it."""
    return math.sqrt(squared_norm(delta))


def stable_rank(delta: TaskVector) -> float:
    """‖τ‖²_F / ‖τ‖₂² of a matrix, to six digits; 0.0 for a zero one.

    The spectral norm is exact for factors and where the smaller side is at most 1024. Above that a power iteration in
    float32 from a fixed start estimates it, until a step changes its square by less than 1e-4 of it: a stable rank that
    comes out a little too large, and the same in each run.
    """
    if isinstance(delta, LowRank):
        norm, spectral = squared_norm(delta), factors_squared_spectral(delta)
    else:
        largest = delta.abs().max() if delta.numel() else torch.zeros(())
        scaled = delta / largest if largest > 0 else delta  # squares of small entries would vanish
        norm, spectral = squared_norm(scaled), dense_squared_spectral(scaled)
    return float(f"{max(1.0, norm / spectral):.6g}") if spectral > 0 else 0.0


def factors_squared_spectral(delta: LowRank) -> float:
    """The largest eigenvalue of G^½ AAᵀ G^½ with G = BᵀB, which has the non-zero eigenvalues of (BA)ᵀBA."""
    if delta.rank == 0:
        return 0.0
    left, right = delta.left.to(torch.float64), delta.right.to(torch.float64)
    values, vectors = torch.linalg.eigh(left.T @ left)
    root = vectors * values.clamp(min=0).sqrt()
    return float(torch.linalg.eigvalsh(root.T @ right @ right.T @ root)[-1])


def dense_squared_spectral(matrix: Tensor) -> float:
    """The largest eigenvalue of the smaller Gram matrix."""
    if matrix.numel() == 0:
        return 0.0
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    if tall.shape[1] <= EXACT:
        return float(torch.linalg.eigvalsh(tall.T @ tall)[-1])
    return power_iteration(tall)


def power_iteration(matrix: Tensor) -> float:
    """The largest eigenvalue of MᵀM, from below."""
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(matrix.shape[1], generator=generator).to(matrix)
    estimate = 0.0
    for _ in range(ITERATIONS):
        image = matrix @ (vector / vector.norm())
        before, estimate = estimate, float(image.square().sum())
        vector = matrix.T @ image
        if estimate == 0.0 or abs(estimate - before) < TOLERANCE * estimate:
            break
    return estimate
