"""What becomes of one tensor: its task vectors, the method or the rest, and the sum with the base."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from wudi.errors import WudiError
from wudi.inputs import Inputs
from wudi.methods import Layer
from wudi.methods.draws import BLOCK
from wudi.methods.interference import measure
from wudi.methods.method import Update, itself
from wudi.once import Once
from wudi.recipe import Recipe
from wudi.selection import Selection, select

PIECE = 1 << 24
"""Entries of a tensor that one worker takes at a time, where entries can be merged apart from each other."""
SLICE = {"cpu": BLOCK, "cuda": 1 << 24}
"""Entries of a piece that are merged at a time: on a CPU few enough to stay in its cache."""
SAMPLED = 16
"""Of how many entries a sample takes one."""


@dataclass(frozen=True)
class Piece:
    """The entries from `first` to before `last` of a tensor; `last_one` ends the tensor."""

    tensor: str
    first: int
    last: int
    last_one: bool


@dataclass(frozen=True)
class Merged:
    """Entries of the merged model in their output dtype, what was measured, and the experts that change them."""

    entries: Tensor
    measured: dict[str, float] = field(default_factory=dict)
    changed: frozenset[str] = frozenset()
    moved: bool = False
    """Whether the merged task vector is more than nothing."""


@dataclass(frozen=True)
class TensorMerge:
    """A recipe on the tensors of a base and its experts."""

    inputs: Inputs
    recipe: Recipe
    measures: bool
    """Whether the interference is measured for methods that do not measure it anyway."""
    tensor_surveys: Once = field(default_factory=Once)

    @cached_property
    def selection(self) -> Selection:
        """The tensors that the method merges; of tied ones that are merged once, the one that is merged."""
        inputs = self.inputs
        return select(inputs.base.tensors, inputs.roles, self.recipe.settings, inputs.copies)

    def pieces(self, name: str) -> list[Piece]:
        """The parts in which a tensor is merged: the whole of it, unless entries can be merged apart."""
        elements = self.inputs.base.tensors[name].elements
        source = self.inputs.copies.get(name, name)
        copied = not self.inputs.base.tensors[name].floating
        if not copied and (not self.by_entry(source) or self.measured_here(source)):
            return [Piece(name, 0, elements, last_one=True)]
        starts = range(0, max(elements, 1), PIECE)
        return [Piece(name, first, min(first + PIECE, elements), first + PIECE >= elements) for first in starts]

    def by_method(self, name: str) -> bool:
        """Whether the method merges a tensor, and not the rest."""
        return name in self.selection.tensors

    def by_entry(self, name: str) -> bool:
        """Whether entries of a tensor can be merged apart from each other."""
        if not self.inputs.are_dense:
            return False
        if not self.by_method(name):
            return True
        is_stack = len(self.inputs.base.tensors[name].shape) == 3 and self.inputs.roles[name].kind == "linear"
        # The matrices of a stack are surveyed one by one.
        return self.recipe.method.by_entry(self.recipe.settings) and not (is_stack and self.surveys_tensors)

    @property
    def surveys_tensors(self) -> bool:
        """Whether the method wants to know each whole tensor first, and not the whole model."""
        method = self.recipe.method
        return method.survey is not None and method.survey_of(self.recipe.settings) == "tensor"

    def measured_here(self, name: str) -> bool:
        """Whether the interference of a tensor is measured for a method that does not measure it."""
        return self.measures and self.by_method(name) and self.inputs.roles[name].kind == "linear"

    def merged(self, piece: Piece, survey: Any, dtype: torch.dtype, device: torch.device) -> Merged:
        """Entries of the merged model.

        Raises:
            WudiError: NaN or infinity in an input, or a result that overflows `dtype`.
        """
        name = self.inputs.copies.get(piece.tensor, piece.tensor)
        info = self.inputs.base.tensors[name]
        if not info.floating or not info.elements:
            return Merged(self.inputs.base.read_entries(name, piece.first, piece.last))
        if not self.by_entry(name):
            return self.merged_whole(name, survey, dtype, device)
        if self.surveys_tensors and self.by_method(name):
            survey = self.tensor_surveys(name, lambda: self.survey_of_tensor(name, device))
        return self.merged_by_slices(replace(piece, tensor=name), survey, dtype, device)

    def merged_by_slices(self, piece: Piece, survey: Any, dtype: torch.dtype, device: torch.device) -> Merged:
        """Merge a few entries after the others, so that no tensor is held in float32."""
        entries = torch.empty(piece.last - piece.first, dtype=dtype)
        measured = self.measured_here(piece.tensor)
        whole = torch.empty(len(entries), device=device) if measured else None
        changed: frozenset[str] = frozenset()
        moved = False
        for first, last in slices(piece, device):
            layer = self.inputs.slice(piece.tensor, first, last, device, survey)
            delta = self.update(layer, self.by_method(piece.tensor)).delta
            place = slice(first - piece.first, last - piece.first)
            entries[place] = self.total(piece.tensor, self.weight(piece.tensor, first, last, layer), delta, dtype)
            changed |= changed_by([layer], changed)
            moved = moved or bool(delta.any())
            if whole is not None:
                whole[place] = delta
        if whole is None:
            return Merged(entries, {}, changed, moved)
        return Merged(entries, self.interference(piece.tensor, whole), changed, moved)

    def weight(self, name: str, first: int, last: int, layer: Layer) -> Tensor:
        """The base's entries in float32, or in float64 if it has them so."""
        assert layer.base is not None, "a layer is read with its base"
        if self.inputs.base.tensors[name].dtype != "F64":
            return layer.base
        return self.inputs.base.read_entries(name, first, last).to(layer.base.device)

    def merged_whole(self, name: str, survey: Any, dtype: torch.dtype, device: torch.device) -> Merged:
        """Merge a tensor at once, one matrix of a stack after the other."""
        layers = self.inputs.layers(name, device, survey)
        updates = [self.measured(layer, self.update(layer, self.by_method(name))) for layer in layers]
        weight = self.inputs.base.read(name)
        delta = torch.stack([update.delta for update in updates]) if weight.dim() == 3 else updates[0].delta
        if self.inputs.roles[name].transposed:
            delta = delta.mT
        precise = weight.to(device).to(torch.promote_types(weight.dtype, torch.float32))
        total = self.total(name, precise, delta.reshape(weight.shape), dtype)
        measured = joined(update.measured for update in updates)
        return Merged(total.reshape(-1), measured, changed_by(layers), moved=bool(delta.any()))

    def total(self, name: str, weight: Tensor, delta: Tensor, dtype: torch.dtype) -> Tensor:
        """The sum, rounded once.

        Raises:
            WudiError: It, or the merged task vector, overflows.
        """
        total = (weight + delta).to(dtype)
        if not is_finite(total):
            if not torch.isfinite(delta).all():
                raise WudiError(
                    f"tensor {name}: the merged task vector overflows; take a smaller scale, weight or rate"
                )
            raise WudiError(f"tensor {name} overflows {dtype} when merged; take another dtype or a smaller scale")
        return total

    def update(self, layer: Layer, by_method: bool) -> Update:
        """The merged task vector of one layer: the method's, scaled, or what `rest` says."""
        settings = self.recipe.settings
        if by_method:
            update = self.recipe.merge(layer)
            return replace(update, delta=update.delta * settings.scale) if settings.scale != 1.0 else update
        match settings.rest:
            case "sum":
                return Update(layer.sum())
            case "base":
                return Update(layer.zero())
            case _:
                return Update(layer.mean())

    def measured(self, layer: Layer, update: Update) -> Update:
        """Add the interference where it is asked for; what a method measured itself holds for a scale of 1."""
        name = layer.name.partition("[")[0]
        known = "interference_result" in update.measured
        if (known and self.recipe.settings.scale == 1.0) or len(layer.shape) != 2 or not self.by_method(name):
            return update
        if not known and not self.measured_here(name):
            return update
        return replace(update, measured=update.measured | measure(layer, update.delta))

    def interference(self, name: str, delta: Tensor) -> dict[str, float]:
        """The interference that a merged task vector leaves, given as flat entries in the order of the file."""
        role, shape = self.inputs.roles[name], self.inputs.base.tensors[name].shape
        whole = delta.view(shape).mT if role.transposed else delta.view(shape)
        layers = self.inputs.layers(name, delta.device)
        parts = whole if len(shape) == 3 else [whole]
        return joined(measure(layer, part) for layer, part in zip(layers, parts, strict=True))

    def survey_of_tensor(self, name: str, device: torch.device) -> Any:
        """What the method wants to know of one whole tensor first."""
        whole = Piece(name, 0, self.inputs.base.tensors[name].elements, last_one=True)

        def walk(work: Callable[[Layer], Any] = itself, *, sampled: bool = False) -> Iterator[Any]:
            return self.looked_at(whole, work, device, sampled=sampled)

        assert self.recipe.method.survey is not None, "only a method with a survey is asked"
        return self.recipe.method.survey(walk, self.recipe.settings)

    def looked_at(
        self, piece: Piece, work: Callable[[Layer], Any], device: torch.device, *, sampled: bool
    ) -> Iterator[Any]:
        """What `work` makes of each layer of a piece, in the form in which the method merges it."""
        if not self.by_entry(piece.tensor):
            yield from map(work, self.inputs.layers(piece.tensor, device))
            return
        for first, last in slices(piece, device):
            # A short look into each slice, unless it is short itself.
            end = min(last, first + max((last - first) // SAMPLED, SLICE["cpu"] // SAMPLED)) if sampled else last
            yield work(self.inputs.slice(piece.tensor, first, end, device))


def slices(piece: Piece, device: torch.device) -> Iterator[tuple[int, int]]:
    """The first entry of each slice of a piece, and what follows its last."""
    size = SLICE.get(device.type, SLICE["cpu"])
    for first in range(piece.first, piece.last, size):
        yield first, min(first + size, piece.last)


def is_finite(values: Tensor) -> bool:
    """Whether there is no NaN and no infinity: a sum shows them, and where it overflows by itself all are looked at."""
    return bool(torch.isfinite(values.sum())) or bool(torch.isfinite(values).all())


def changed_by(layers: Sequence[Layer], known: frozenset[str] = frozenset()) -> frozenset[str]:
    """The experts whose task vectors are not all zero; those that are known to be need no look."""
    names = layers[0].experts
    return frozenset(
        name
        for index, name in enumerate(names)
        if name not in known and any(bool(layer.deltas[index].any()) for layer in layers)
    )


def joined(measured: Iterable[dict[str, float]]) -> dict[str, float]:
    """What was measured on the matrices of a stack: interference adds up, all else is their mean.

    Of a matrix that no expert changes there is nothing to measure.
    """
    rows = list(measured)
    found = {key: [row[key] for row in rows if key in row] for row in rows for key in row}
    return {key: sum(values) / (1 if key.startswith("interference") else len(values)) for key, values in found.items()}
