"""Means: every entry of the merged task vector is a weighted sum of the experts' own."""

from dataclasses import dataclass

from wudi.low_rank import squared_norm, weighted_sum
from wudi.methods.method import Layer, Method, Update, always
from wudi.settings import EverywhereSettings, setting


@dataclass(frozen=True, kw_only=True)
class AverageSettings(EverywhereSettings):
    """Equal weights, unless some are given; they are divided by their sum."""

    weights: dict[str, float] = setting({}, "weight of each expert, 1 for those not named", at_least=0)


def average(layer: Layer, settings: AverageSettings) -> Update:
    """Weighted mean of the task vectors: τ = Σᵢ wᵢτᵢ / Σᵢ wᵢ."""
    weights = layer.weights(settings.weights)
    total = sum(weights) or 1.0
    return Update(weighted_sum(layer.deltas, [weight / total for weight in weights]))


@dataclass(frozen=True, kw_only=True)
class TaskArithmeticSettings(EverywhereSettings):
    """The scale is the method's one parameter; 0.3 is what FusionBench takes."""

    scale: float = setting(0.3, "factor on the sum of the task vectors")
    weights: dict[str, float] = setting({}, "weight of each expert, 1 for those not named; below 0 takes a skill away")


def task_arithmetic(layer: Layer, settings: TaskArithmeticSettings) -> Update:
    """Weighted sum of the task vectors: τ = Σᵢ wᵢτᵢ."""
    return Update(weighted_sum(layer.deltas, layer.weights(settings.weights)))


def model_stock(layer: Layer, settings: EverywhereSettings) -> Update:
    """Mean of the task vectors, shortened towards the base by the angle between them, tensor by tensor.

    τ = t · (1/T) Σᵢ τᵢ with t = T cos θ / (1 + (T − 1) cos θ), cos θ the mean of the pairwise cosines. Experts that
    point apart on the whole (cos θ ≤ 0) add nothing; without that bound t has a pole at cos θ = −1/(T − 1). Experts
    that leave the tensor alone have no angle and do not count.
    """
    norms = [squared_norm(delta) ** 0.5 for delta in layer.deltas]
    count = sum(norm > 0 for norm in norms)
    if count <= 1:
        return Update(layer.sum())
    # Σᵢ≠ⱼ cos θᵢⱼ = ‖Σᵢ τᵢ/‖τᵢ‖‖² − T
    units = weighted_sum(layer.deltas, [1.0 / norm if norm else 0.0 for norm in norms])
    cosine = max((squared_norm(units) - count) / (count * (count - 1)), 0.0)
    ratio = count * cosine / (1.0 + (count - 1) * cosine)
    return Update(layer.sum() * (ratio / count), {"ratio": ratio})


METHODS = (
    Method(
        name="average",
        source="Wortsman et al., Model soups, ICML 2022, arXiv 2203.05482",
        settings=AverageSettings,
        merge=average,
        by_entry=always,
    ),
    Method(
        name="task_arithmetic",
        source="Ilharco et al., Editing models with task arithmetic, ICLR 2023, arXiv 2212.04089",
        settings=TaskArithmeticSettings,
        merge=task_arithmetic,
        by_entry=always,
    ),
    Method(
        name="model_stock",
        source="Jang et al., Model Stock, ECCV 2024, arXiv 2403.19522",
        settings=EverywhereSettings,
        merge=model_stock,
    ),
)
