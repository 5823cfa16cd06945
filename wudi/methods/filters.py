"""The interference minimised in closed form, with a spectral filter that says how far each direction goes.

With C = VΛVᵀ, τ₀ = Στᵢ and the residual D − τ₀C, every method here is τ = τ₀ + (D − τ₀C) V g(Λ) Vᵀ; g(λ) = 1/λ leads to
the minimum, and f(λ) = λ g(λ) is the fraction of that way that a filter goes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from wudi.methods.coordinates import in_joint_space
from wudi.methods.interference import measured, terms
from wudi.methods.method import Layer, Method, Update
from wudi.methods.quadratic import Moments
from wudi.methods.spectrum import Filter, RankRule, Spectrum, rank_of
from wudi.settings import Settings, setting

SWUDI = "SWUDI, arXiv 2606.07289"


@dataclass(frozen=True, kw_only=True)
class SwudiSettings(Settings):
    """t = 300 with 65 % of the directions; the authors advise 85 % for language models."""

    time: float = setting(300.0, "time t of the gradient flow", at_least=0)
    ratio: float = setting(0.65, "fraction of the input directions that are kept", above=0, at_most=1)


@in_joint_space
def swudi(layer: Layer, settings: SwudiSettings) -> Update:
    """Gradient flow for time t on the top directions of C, in closed form: f(λ) = 1 − e^{−tλ}."""

    def kept(spectrum: Spectrum) -> int:
        return math.ceil(settings.ratio * spectrum.width)

    return filtered(layer, lambda values: -torch.expm1(-settings.time * values) / values, kept)


@dataclass(frozen=True, kw_only=True)
class SwudiASettings(Settings):
    """The authors' default rule, participation_sqrt; they advise gavish_donoho for full fine-tunes of Llama."""

    rule: RankRule = setting("participation_sqrt", "how many directions of C are kept in a layer")
    variance: float = setting(0.95, "the fraction that rule cumulative_variance keeps", above=0, at_most=1)


@in_joint_space
def swudi_a(layer: Layer, settings: SwudiASettings) -> Update:
    """The minimum of the interference on the top directions of C, as many as the spectrum says: f = 1 on those."""

    def kept(spectrum: Spectrum) -> int:
        return rank_of(settings.rule, spectrum, layer.shape, settings.variance)

    return filtered(layer, torch.reciprocal, kept)


@dataclass(frozen=True, kw_only=True)
class TikhonovSettings(Settings):
    """α = 0.01, as in the SWUDI authors' program."""

    alpha: float = setting(0.01, "weight of ‖τ − Στᵢ‖² beside the interference", above=0)


@in_joint_space
def tikhonov(layer: Layer, settings: TikhonovSettings) -> Update:
    """The minimum of L(τ) + α ‖τ − Στᵢ‖²: f(λ) = λ / (λ + α)."""
    return filtered(layer, lambda values: 1.0 / (values + settings.alpha))


@dataclass(frozen=True, kw_only=True)
class LandweberSettings(Settings):
    """150 steps of 0.9/λmax, as in the SWUDI authors' program."""

    iterations: int = setting(150, "steps of gradient descent", at_least=1)
    step: float = setting(0.9, "size of a step, in units of 1/λmax", above=0, at_most=1)


@in_joint_space
def landweber(layer: Layer, settings: LandweberSettings) -> Update:
    """Plain gradient descent from Στᵢ, all its steps at once: f(λ) = 1 − (1 − ηλ)ⁿ."""

    def at(values: Tensor) -> Tensor:
        rate = settings.step / values[0]
        return -torch.expm1(settings.iterations * torch.log1p(-rate * values)) / values

    return filtered(layer, at)


@in_joint_space
def pinv(layer: Layer, settings: Settings) -> Update:
    """The exact minimum of the interference, D C⁺: f = 1 on every direction that some task vector has."""
    return filtered(layer, torch.reciprocal)


def filtered(layer: Layer, at: Filter, kept: Callable[[Spectrum], int] | None = None) -> Update:
    """τ₀ + (D − τ₀C) V g(Λ) Vᵀ, in float64: C has the squares of the task vectors' singular values."""
    start = layer.sum()
    found = terms(layer.dense)
    if not found:  # no expert differs from the base here
        return Update(start)
    form = Moments(found, torch.float64)
    spectrum = Spectrum.of(form.covariance, layer.shape[-1])
    if kept is not None:
        spectrum = spectrum.top(kept(spectrum))
    residual = torch.addmm(form.target, start.double(), form.covariance, alpha=-1.0)
    update = (residual @ spectrum.vectors * at(spectrum.eigenvalues)) @ spectrum.vectors.T
    merged = start + update.to(start.dtype)
    return measured(layer, merged, form, rank=len(spectrum.eigenvalues))


METHODS = (
    Method(name="swudi", source=SWUDI, settings=SwudiSettings, merge=swudi),
    Method(name="swudi_a", source=SWUDI, settings=SwudiASettings, merge=swudi_a),
    Method(name="tikhonov", source=SWUDI, settings=TikhonovSettings, merge=tikhonov),
    Method(name="landweber", source=SWUDI, settings=LandweberSettings, merge=landweber),
    Method(
        name="pinv",
        source="the minimum of WUDI's interference, arXiv 2503.08099; with equal norms as ACTMat, arXiv 2604.01329",
        settings=Settings,
        merge=pinv,
    ),
)
