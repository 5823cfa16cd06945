"""What becomes of one tensor: its task vectors, the method or the rest, and the sum with the base."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from wudi.architecture import Role, roles, tied
from wudi.checkpoint import Checkpoint
from wudi.errors import WudiError
from wudi.experts import Expert, read_base
from wudi.low_rank import dense
from wudi.methods import Layer
from wudi.methods.interference import measure
from wudi.methods.method import TaskVector, Update
from wudi.progress import Track
from wudi.recipe import Recipe
from wudi.selection import Selection, select


@dataclass(frozen=True)
class Merged:
    """A tensor of the merged model, what was measured on it, and the experts that change it."""

    tensor: Tensor
    measured: dict[str, float] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    moved: bool = False
    """Whether the merged task vector is more than nothing."""


@dataclass(frozen=True)
class TensorMerge:
    """A recipe on the tensors of a base and its experts."""

    base: Checkpoint
    experts: Sequence[Expert]
    recipe: Recipe
    device: torch.device
    measures: bool
    """Whether the interference is measured for methods that do not measure it anyway."""

    @cached_property
    def roles(self) -> dict[str, Role]:
        """What each tensor is in the model."""
        return roles(self.base)

    @cached_property
    def selection(self) -> Selection:
        """The tensors that the method merges; of tied ones that are merged once, the one that is merged."""
        return select(self.base.tensors, self.roles, self.recipe.settings, self.copies)

    @cached_property
    def copies(self) -> dict[str, str]:
        """Tied tensors that are stored twice, equal in every model, each with the name of the one it is a copy of."""
        return {copy: source for copy, source in tied(self.base).items() if self.equal_everywhere(copy, source)}

    def equal_everywhere(self, copy: str, source: str) -> bool:
        """Whether two tensors of the base are equal, and their task vectors too."""
        first, second = (read_base(self.base, name, self.device) for name in (copy, source))
        return torch.equal(first, second) and all(
            torch.equal(dense(expert.delta(copy, first)), dense(expert.delta(source, second)))
            for expert in self.experts
        )

    def layers(self, name: str, survey: Any = None) -> list[Layer]:
        """The task vectors of a tensor on the device: (out, in) where it is linear, one layer a matrix of a stack."""
        weight = read_base(self.base, name, self.device)
        role = self.roles[name]
        deltas = [expert.delta(name, weight, transposed=role.transposed) for expert in self.experts]
        if weight.dim() == 0:  # a scalar is a vector of one
            weight, deltas = weight[None], [dense(delta)[None] for delta in deltas]
        if role.transposed:
            weight, deltas = turned(weight), [turned(delta) for delta in deltas]
        names = [expert.name for expert in self.experts]
        whole = Layer(deltas=deltas, name=name, experts=names, base=weight, survey=survey)
        if role.kind == "linear" and weight.dim() == 3 and len(weight):
            return [
                replace(whole, name=f"{name}[{index}]", base=weight[index], deltas=[dense(d)[index] for d in deltas])
                for index in range(len(weight))
            ]
        return [whole]

    def survey(self, track: Track) -> Any:
        """What the method wants to know of the whole model first."""
        names = [name for name in self.base.tensors if name in self.selection.tensors]

        def walk() -> Iterator[Layer]:
            for name in track(names, "surveying"):
                yield from self.layers(name)

        return self.recipe.method.survey(walk, self.recipe.settings)

    def merged(self, name: str, survey: Any, dtype: torch.dtype) -> Merged:
        """A tensor of the merged model, in its output dtype.

        Raises:
            WudiError: NaN or infinity in an input, or a result that overflows `dtype`.
        """
        name = self.copies.get(name, name)
        weight = self.base.read(name)
        if not self.base.tensors[name].floating or not weight.numel():
            return Merged(weight)
        layers = self.layers(name, survey)
        updates = [self.update(layer, name in self.selection.tensors) for layer in layers]
        delta = torch.stack([update.delta for update in updates]) if weight.dim() == 3 else updates[0].delta
        if self.roles[name].transposed:
            delta = delta.mT
        if not torch.isfinite(delta).all():
            raise WudiError(f"tensor {name}: the merged task vector overflows; take a smaller scale, weight or rate")
        precise = torch.promote_types(weight.dtype, torch.float32)
        total = (weight.to(self.device).to(precise) + delta.reshape(weight.shape)).to(dtype)
        if not torch.isfinite(total).all():
            raise WudiError(f"tensor {name} overflows {dtype} when merged; take another dtype or a smaller scale")
        measured = joined(update.measured for update in updates)
        return Merged(total, measured, changed(layers), moved=bool(delta.any()))

    def update(self, layer: Layer, by_method: bool) -> Update:
        """The merged task vector of one tensor or matrix: the method's, scaled, or what `rest` says."""
        settings = self.recipe.settings
        if by_method:
            update = self.recipe.merge(layer)
            return self.measured(layer, replace(update, delta=update.delta * settings.scale))
        match settings.rest:
            case "sum":
                return Update(layer.sum())
            case "base":
                return Update(layer.zero())
            case _:
                return Update(layer.mean())

    def measured(self, layer: Layer, update: Update) -> Update:
        """Add the interference where it is asked for; what a method measured itself holds for a scale of 1."""
        known = "interference_result" in update.measured
        if (known and self.recipe.settings.scale == 1.0) or len(layer.shape) != 2:
            return update
        linear = self.roles[layer.name.partition("[")[0]].kind == "linear"
        if not known and not (self.measures and linear):
            return update
        return replace(update, measured=update.measured | measure(layer, update.delta))


def turned(delta: TaskVector) -> Any:
    """The last two dimensions exchanged."""
    return delta.mT.contiguous() if isinstance(delta, Tensor) else delta.T


def changed(layers: Sequence[Layer]) -> list[str]:
    """The experts whose task vectors are not all zero."""
    return [
        layers[0].expert(index)
        for index in range(len(layers[0].deltas))
        if any(bool(layer.deltas[index].any()) for layer in layers)
    ]


def joined(measured: Iterable[dict[str, float]]) -> dict[str, float]:
    """What was measured on the matrices of a stack: interference adds up, all else is their mean.

    Of a matrix that no expert changes there is nothing to measure.
    """
    rows = list(measured)
    found = {key: [row[key] for row in rows if key in row] for row in rows for key in row}
    return {key: sum(values) / (1 if key.startswith("interference") else len(values)) for key, values in found.items()}
