"""Task arithmetic: the scaled sum of the task vectors."""

from dataclasses import dataclass

import torch

from wudi.methods.method import Layer, Method, Update
from wudi.settings import EverywhereSettings, setting


@dataclass(frozen=True, kw_only=True)
class TaskArithmeticSettings(EverywhereSettings):
    """The scale is the method's one parameter; 0.3 is what FusionBench takes."""

    scale: float = setting(0.3, "factor on the sum of the task vectors")


def task_arithmetic(layer: Layer, settings: TaskArithmeticSettings) -> Update:
    """Sum of the task vectors: τ = Σᵢ τᵢ."""
    return Update(torch.stack(tuple(layer.deltas)).sum(dim=0))


METHOD = Method(
    name="task_arithmetic",
    source="Ilharco et al., Editing models with task arithmetic, ICLR 2023, arXiv 2212.04089",
    settings=TaskArithmeticSettings,
    merge=task_arithmetic,
)
