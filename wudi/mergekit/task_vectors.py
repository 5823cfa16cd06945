"""The methods of mergekit that add up task vectors, sparse or not: its parameters as settings of this project's."""

from collections.abc import Mapping
from typing import Any

from wudi.errors import WudiError
from wudi.mergekit.asked import Asked, given

Recipe = dict[str, Any]

TIES_LAST = "entries at the threshold are all kept here, of which mergekit keeps the number that density says"
DRAWS = "the dropped entries are drawn at random by both programs, which draw others"
L1 = "to the tensor's L1 norm, as mergekit has it (rescale: l1); the papers divide by the keep probability"
CANCEL = "where experts cancel exactly nothing is added here; mergekit elects plus there"


def task_arithmetic(asked: Asked) -> Recipe:
    """λ Σ wᵢτᵢ."""
    return {"method": "task_arithmetic", **summed(asked)}


def summed(asked: Asked, normalize: bool = False) -> Recipe:
    """The scale and the weights of a plain sum; `normalize` divides by the weights' own sum."""
    weights = asked.weights()
    scale, total = asked.number("lambda", 1.0), sum(weights.values())
    asked.flag("int8_mask", False)  # the type of a mask, which changes no value
    if asked.flag("normalize", normalize) and abs(total) >= 1e-8:
        scale /= total
    return {"scale": scale, **given(weights)}


def elected(asked: Asked, normalize: bool) -> Recipe:
    """The scale, the weights and the join of a sum of what agrees with the elected sign."""
    asked.notes.tell(asked.config.method, CANCEL)
    asked.flag("int8_mask", False)
    join = "mean" if asked.flag("normalize", normalize) else "sum"
    return {"scale": asked.number("lambda", 1.0), "merge": join, **given(asked.weights())}


def ties(asked: Asked) -> Recipe:
    """Trimmed tensor by tensor, where this project's default is the whole model."""
    density = dense(asked)
    if asked.flag("rescale", False) and density < 1:
        asked.notes.lose("parameters.rescale", "what trimming leaves is not scaled up here")
    if density < 1:
        asked.notes.tell("density", f"by tensor, as mergekit has it (trim: tensor); {TIES_LAST}")
    return {"method": "ties", "density": density, "trim": "tensor", **elected(asked, normalize=True)}


def dare_linear(asked: Asked) -> Recipe:
    """Dropping, then a plain sum."""
    return {"method": "dare", **dropped(asked, dense(asked)), **summed(asked)}


def dare_ties(asked: Asked) -> Recipe:
    """Dropping, then the elected sign, without trimming: mergekit's density is of what dropping keeps."""
    settings = dropped(asked, dense(asked))
    return {"method": "dare_ties", **settings, "density": 1.0, "trim": "tensor", **elected(asked, normalize=False)}


def dropped(asked: Asked, density: float) -> Recipe:
    """The settings of dropping at random; mergekit rescales by the L1 norm and not by the probability."""
    return {"drop_rate": round(1.0 - density, 12), **rescaled(asked, density), "seed": 0}


def rescaled(asked: Asked, density: float) -> Recipe:
    """What makes up for dropped entries, of which there are none at density 1."""
    rescale = "l1" if asked.flag("rescale", True) else "none"
    if density < 1:
        asked.notes.tell("density", DRAWS)
        if rescale == "l1":
            asked.notes.tell("rescale", L1)
    return {"rescale": rescale}


def della(asked: Asked) -> Recipe:
    """Dropping by rank within a row, then the elected sign."""
    density, epsilon = dense(asked), asked.one("epsilon", 0.15)
    settings = {"density": density, "epsilon": epsilon if density < 1 else 0.0, "trim": "row"}
    return {"method": "della", **settings, **rescaled(asked, density), "seed": 0, **elected(asked, normalize=True)}


def della_linear(asked: Asked) -> Recipe:
    """Dropping by rank, then a plain sum: here dropping is at one probability where no sign is elected."""
    density, epsilon = dense(asked), asked.one("epsilon", 0.15)
    if density < 1 and epsilon > 0:
        asked.notes.lose(
            "epsilon", f"every entry is kept with probability {density:g} here, large and small ones alike (dare)"
        )
    return {"method": "dare", **dropped(asked, density), **summed(asked)}


def breadcrumbs(asked: Asked) -> Recipe:
    """Ranked within a tensor; mergekit's density is what is kept below the outliers, this project's has them in it."""
    density, gamma = dense(asked), asked.one("gamma", 0.01)
    if asked.flag("rescale", False) and density < 1:
        asked.notes.lose("parameters.rescale", "what is kept is not scaled up here")
    outliers = min(gamma, 1 - density)
    if density < 1:
        asked.notes.tell(
            "density",
            f"{density + outliers:g} here, which counts the outliers that gamma drops, as its authors do",
        )
    top = {"density": round(density + outliers, 12), "gamma": round(outliers, 12)}
    return {"method": "breadcrumbs", **top, "trim": "tensor", **summed(asked)}


def breadcrumbs_ties(asked: Asked) -> Recipe:
    """As TIES where no outlier is dropped; there is no method here that drops outliers and elects signs.

    Raises:
        WudiError: Outliers are dropped.
    """
    if dense(asked) < 1 and asked.one("gamma", 0.01) > 0:
        raise WudiError(
            "merge_method: breadcrumbs_ties drops outliers and elects signs, which no method here does at once; "
            "nearest are breadcrumbs (no election: merge_method: breadcrumbs) and ties (no outliers dropped: gamma: 0)"
        )
    asked.read.add("gamma")
    return ties(asked)


def dense(asked: Asked) -> float:
    """The fraction of entries that is kept: at most 1, as mergekit takes more for all."""
    return min(asked.one("density", 1.0), 1.0)


SUMS: Mapping[str, Any] = {
    method.__name__: method
    for method in (
        task_arithmetic,
        ties,
        dare_linear,
        dare_ties,
        della,
        della_linear,
        breadcrumbs,
        breadcrumbs_ties,
    )
}
