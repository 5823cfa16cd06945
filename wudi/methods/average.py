"""Weight averaging: the mean of the experts."""

import torch

from wudi.methods.method import Layer, Method, Update
from wudi.settings import EverywhereSettings


def average(layer: Layer, settings: EverywhereSettings) -> Update:
    """Mean of the task vectors: τ = (1/T) Σᵢ τᵢ."""
    return Update(torch.stack(tuple(layer.deltas)).mean(dim=0))


METHOD = Method(
    name="average",
    source="Wortsman et al., Model soups, ICML 2022, arXiv 2203.05482",
    settings=EverywhereSettings,
    merge=average,
)
