"""The gradient flow of the interference for a time t, by matrix products alone.

dτ/dt = D − τC from τ₀ = Στᵢ leads to τ(t) = τ₀ + (D − τ₀C) Φ(t) with Φ(t) = ∫₀ᵗ e^{−sC} ds. No eigendecomposition is
needed, which is what a GPU is slow at. Two ways, and the one with fewer operations is taken:

- Doubling: Φ(s) of a short time as a polynomial, then Φ(2s) = Φ(s) + e^{−sC}Φ(s) and e^{−2sC} = (e^{−sC})². Some 20
  products of in × in × in and one of out × in × in: best where out is not much smaller than in.
- Chebyshev: (1 − e^{−tλ})/λ as a polynomial of C, applied to the residual term by term. About 4√(tλmax) products of
  out × in × in, and none of in × in matrices at all, so it also works where C is never formed.

Krylov spaces would need the fewest products with C for a single row, but there are as many rows as outputs: a block
of them costs an orthogonalisation of out × in vectors a step, more than it saves.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from torch import Tensor

from wudi.methods.coordinates import in_joint_space
from wudi.methods.interference import interference, measured
from wudi.methods.method import Layer, Method, Update
from wudi.methods.quadratic import Factors, Moments
from wudi.settings import Settings, setting

SHORT = 4.0
"""The largest sλmax for which a polynomial of degree 8 gives Φ(s) to float32's precision."""
DEGREE = 8
DOUBLING_BASE = 5
"""Products of in × in × in before the first doubling: C², C³, the polynomial's two Horner steps, and e^{−sC}."""
TRUNCATION = 1e-8
"""Chebyshev coefficients below this fraction of the largest are left out."""
LONG = 1000.0
"""The tλmax beyond which Chebyshev's terms cancel to fewer than four digits in float32."""
POWER_STEPS = 30


@dataclass(frozen=True, kw_only=True)
class WudiFlowSettings(Settings):
    """t = 300, as the SWUDI authors' untruncated variant."""

    time: float = setting(300.0, "time t of the gradient flow; for more, swudi or pinv", at_least=0, at_most=1e4)
    products: Literal["auto", "doubling", "chebyshev"] = setting(
        "auto", "how e^{−tC} is applied; auto: the cheaper way"
    )


@in_joint_space
def wudi_flow(layer: Layer, settings: WudiFlowSettings) -> Update:
    """Descend the interference by its gradient flow for time t: WUDI's path without steps, and without an optimizer."""
    start, form = layer.sum(), interference(layer.deltas)
    if form is None:
        return Update(start)
    residual = form.gradient()(start) / -2.0
    return measured(layer, start + flow(residual, form, settings), form)


def flow(residual: Tensor, form: Moments | Factors, settings: WudiFlowSettings) -> Tensor:
    """Residual · Φ(t), shape (out, in)."""
    curvature = form.curvature()
    largest = largest_eigenvalue(curvature, residual)
    if largest == 0.0 or settings.time == 0.0:
        return residual * settings.time
    if isinstance(form, Moments) and prefers_doubling(settings, residual.shape, largest):
        return by_doubling(residual, form.covariance, settings.time, largest)
    return by_chebyshev(residual, curvature, chebyshev_coefficients(settings.time, largest), largest)


def prefers_doubling(settings: WudiFlowSettings, shape: torch.Size, largest: float) -> bool:
    """Whether doubling was asked for, takes fewer operations, or is needed for its precision at a long time."""
    if settings.products != "auto" or settings.time * largest > LONG:
        return settings.products != "chebyshev"
    out, width = shape
    degree = len(chebyshev_coefficients(settings.time, largest))
    steps = doublings(settings.time, largest)
    inside = DOUBLING_BASE + steps + min(steps, steps * out // width)
    return inside * width + out < degree * out


def doublings(time: float, largest: float) -> int:
    """How often a short time is doubled until it is t."""
    return max(0, math.ceil(math.log2(time * largest / SHORT)))


def by_doubling(residual: Tensor, covariance: Tensor, time: float, largest: float) -> Tensor:
    """Residual · Φ(t) from Φ(t/2ᵏ). Where there are fewer outputs than inputs, Φ is applied factor by factor."""
    steps = doublings(time, largest)
    integral = short_integral(covariance, time / 2**steps, largest)
    decay = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device) - covariance @ integral
    if residual.shape[0] < residual.shape[1]:
        total = residual @ integral
        for step in range(steps):
            total = torch.addmm(total, total, decay)
            if step + 1 < steps:
                decay = decay @ decay
        return total
    for step in range(steps):
        integral = torch.addmm(integral, decay, integral)
        if step + 1 < steps:
            decay = decay @ decay
    return residual @ integral


def short_integral(covariance: Tensor, time: float, largest: float) -> Tensor:
    """Φ(s) for sλmax ≤ 4: the polynomial of degree 8, by Paterson and Stockmeyer with four products."""
    centre = largest / 2.0
    identity = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    shifted = covariance / centre - identity  # eigenvalues in [−1, 1]
    powers = [identity, shifted, shifted @ shifted]
    cube = powers[2] @ shifted
    monomials = polynomial_coefficients(time, largest)
    parts = [sum(float(c) * p for c, p in zip(monomials[k : k + 3], powers, strict=True)) for k in (0, 3, 6)]
    total = torch.addmm(torch.as_tensor(parts[1]), torch.as_tensor(parts[2]), cube)
    return torch.addmm(torch.as_tensor(parts[0]), total, cube)


def by_chebyshev(
    residual: Tensor, curvature: Callable[[Tensor], Tensor], coefficients: list[float], largest: float
) -> Tensor:
    """Σₖ cₖ residual · Tₖ(X) with X = 2C/λmax − I, by the recurrence Tₖ₊₁ = 2XTₖ − Tₖ₋₁."""

    def shifted(block: Tensor) -> Tensor:
        return curvature(block).mul_(2.0 / largest).sub_(block)

    previous, current = residual, shifted(residual)
    total = residual * coefficients[0] + current * coefficients[1]
    for coefficient in coefficients[2:]:
        previous, current = current, shifted(current).mul_(2.0).sub_(previous)
        total.add_(current, alpha=coefficient)
    return total


def chebyshev_coefficients(time: float, largest: float) -> list[float]:
    """Of (1 − e^{−tλ})/λ on [0, λmax], as many as count."""
    found = interpolated(time, largest, 2 * DEGREE + math.ceil(8.0 * math.sqrt(time * largest)))
    counting = np.flatnonzero(np.abs(found) > TRUNCATION * np.abs(found).max())
    return [float(coefficient) for coefficient in found[: max(int(counting[-1]), 1) + 1]]


def polynomial_coefficients(time: float, largest: float) -> list[float]:
    """Of Φ(s) on [0, λmax], in powers of 2λ/λmax − 1, up to degree 8."""
    return [float(coefficient) for coefficient in chebyshev.cheb2poly(interpolated(time, largest, DEGREE))]


def interpolated(time: float, largest: float, degree: int) -> NDArray[np.float64]:
    """The Chebyshev coefficients that interpolate (1 − e^{−tλ})/λ on [0, λmax], lowest degree first."""
    nodes = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))
    values = (nodes + 1.0) * largest / 2.0
    columns = chebyshev.chebvander(nodes, degree)
    found = 2.0 / (degree + 1) * (-np.expm1(-time * values) / values) @ columns
    found[0] /= 2.0
    return np.asarray(found, dtype=np.float64)


def largest_eigenvalue(curvature: Callable[[Tensor], Tensor], like: Tensor) -> float:
    """A bound on C's largest eigenvalue: what 30 power iterations give, and as much more as they may fall short.

    From a random start in n dimensions they fall short by less than a factor of (100 n)^{1/60}, but for starts that
    happen to be nearly orthogonal to the largest direction of a spectrum without any other large one.
    """
    width = like.shape[1]
    start = torch.randn(1, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    vector = start.to(device=like.device, dtype=like.dtype)
    size = 0.0
    for _ in range(POWER_STEPS):
        vector = curvature(vector / vector.norm())
        size = float(vector.norm())
        if size == 0.0:
            return 0.0
    return size * (100.0 * width) ** (0.5 / POWER_STEPS)


METHODS = (
    Method(
        name="wudi_flow",
        source="the untruncated limit of SWUDI, arXiv 2606.07289",
        settings=WudiFlowSettings,
        merge=wudi_flow,
    ),
)
