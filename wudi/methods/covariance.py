"""Regression on the inputs' covariance, for which the task vectors themselves stand in: ACTMat, TACT and ACE.

τ = (Σᵢ τᵢCᵢ)(Σᵢ Cᵢ)⁺ is the least-squares fit to all experts' outputs on inputs of covariance Cᵢ. Without data,
Cᵢ = τᵢᵀτᵢ takes its place: a linear layer's task vector lies in the span of the inputs it was trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wudi.methods.coordinates import in_joint_space
from wudi.methods.magnitude import top
from wudi.methods.method import Layer, Method, Update
from wudi.methods.quadratic import Moments, Term
from wudi.methods.spectrum import Spectrum
from wudi.settings import Settings, setting

DATA_FREE = "data-free covariance estimation, arXiv 2604.01329"


@in_joint_space
def actmat(layer: Layer, settings: Settings) -> Update:
    """Regression merging with Cᵢ = τᵢᵀτᵢ as the covariance of each expert's inputs: (Σ τᵢCᵢ)(Σ Cᵢ)⁺."""
    return regress(layer, layer.dense)


@dataclass(frozen=True, kw_only=True)
class TactSettings(Settings):
    """The top half of each layer, as the authors have it."""

    density: float = setting(
        0.5, "fraction of a layer's entries, by magnitude, that the covariance is of", above=0, at_most=1
    )


def tact(layer: Layer, settings: TactSettings) -> Update:
    """As actmat, with each covariance from the largest entries of its task vector alone."""
    return regress(layer, [largest(delta, settings.density) for delta in layer.dense])


def ace(layer: Layer, settings: Settings) -> Update:
    """As actmat, with each covariance from the task vector less the mean of its rows."""
    return regress(layer, [delta - delta.mean(dim=0) for delta in layer.dense])


def regress(layer: Layer, proxies: Sequence[Tensor]) -> Update:
    """(Σᵢ τᵢCᵢ)(Σᵢ Cᵢ)⁺ with Cᵢ = PᵢᵀPᵢ for a proxy Pᵢ, in float64; a proxy of zero takes no part."""
    terms = [Term(delta, proxy, 1.0) for delta, proxy in zip(layer.dense, proxies, strict=True) if proxy.any()]
    if not terms:
        return Update(layer.zero())
    form = Moments(terms, torch.float64)
    spectrum = Spectrum.of(form.covariance, layer.shape[-1])
    merged = (form.target @ spectrum.vectors / spectrum.eigenvalues) @ spectrum.vectors.T
    return Update(merged.to(layer.dense[0].dtype), {"rank": len(spectrum.eigenvalues)})


def largest(delta: Tensor, density: float) -> Tensor:
    """The largest entries of a tensor; all others are zero."""
    kept = int(delta.numel() * density)
    if kept == 0:
        return torch.zeros_like(delta)
    return torch.where(delta.abs() >= top(delta.abs().flatten(), kept), delta, 0.0)


METHODS = (
    Method(name="actmat", source=DATA_FREE, settings=Settings, merge=actmat),
    Method(name="tact", source=DATA_FREE, settings=TactSettings, merge=tact),
    Method(name="ace", source=DATA_FREE, settings=Settings, merge=ace),
)
