"""The methods of mergekit that work on weights, or on angles: its parameters as settings of this project's."""

from collections.abc import Mapping
from typing import Any

from wudi.errors import WudiError
from wudi.mergekit.asked import Asked, given

Recipe = dict[str, Any]


def linear(asked: Asked) -> Recipe:
    """Σ wᵢθᵢ / Σ wᵢ, seen from one of the models: what the others differ by, times their share.

    Raises:
        WudiError: The weights do not add up to 1, and are not to be made to: the base would be scaled too.
    """
    weights = asked.each("weight")
    total = sum(weights.values())
    normalize = asked.flag("normalize", True)
    if not total or (not normalize and abs(total - 1) > 1e-6):
        raise WudiError(
            f"parameters.normalize: got {str(normalize).lower()} with weights that add up to {total:g}, which scales "
            "the models themselves; takes true, or weights that add up to 1"
        )
    shares = {name: weight for name, weight in weights.items() if name != "base"}
    return {"method": "task_arithmetic", "scale": 1.0 / total if normalize else 1.0, **given(shares)}


def model_stock(asked: Asked) -> Recipe:
    """The same formula, tensor by tensor."""
    if asked.flag("filter_wise", False):
        asked.notes.lose("parameters.filter_wise", "one angle for each tensor here, and not for each of its rows")
    asked.notes.tell("model_stock", "experts that point apart on the whole add nothing to a tensor here")
    return {"method": "model_stock"}


def sce(asked: Asked) -> Recipe:
    """Positions that are not selected are left out of the result too, as mergekit has it."""
    asked.flag("int8_mask", False)
    asked.notes.tell(
        "sce",
        "weights are exact here; mergekit's are equal where mean squares add up to less than 1e-6, as is usual",
    )
    return {"method": "sce", "density": asked.number("select_topk", 1.0), "select": "task_vectors"}


def slerp(asked: Asked) -> Recipe:
    """Between the weights of two models, the first of which mergekit calls the base."""
    return {"method": "slerp", "t": asked.number("t")}


def nuslerp(asked: Asked) -> Recipe:
    """Between two models' task vectors where there is a base, else between their weights."""
    weights = list(asked.weights().values())
    if len(weights) != 2:
        raise WudiError(f"models: got {len(weights)} beside the base; nuslerp takes 2")
    total = sum(weights)
    for name, default in (("nuslerp_flatten", True), ("nuslerp_row_wise", False)):
        if asked.flag(name, default) != default:
            asked.notes.lose(f"parameters.{name}", "one angle for each tensor here")
    asked.notes.tell("nuslerp", "nearly parallel tensors (|cos| > 0.9995) are interpolated along the chord here")
    on = {} if asked.config.base is None else {"on": "task_vectors"}
    return {"method": "slerp", "t": 0.5 if abs(total) < 1e-6 else weights[1] / total, **on}


def karcher(asked: Asked) -> Recipe:
    """The mean of all models' weights on the sphere."""
    for name in ("max_iter", "tol"):
        asked.read.add(name)
    asked.notes.tell("karcher", "goes on to a step below 1e-9 here; mergekit stops after 10 steps, or below 1e-5")
    return {"method": "karcher"}


WEIGHTS: Mapping[str, Any] = {method.__name__: method for method in (linear, model_stock, sce, slerp, nuslerp, karcher)}
