"""What a method is: a function from one layer's task vectors to its merged task vector."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from wudi.low_rank import LowRank, TaskVector, dense, weighted_sum
from wudi.methods.draws import BLOCK, uniform
from wudi.settings import Settings

Scope = Literal["model", "tensor"]
"""What a survey goes over: the whole model once, or each tensor by itself."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One tensor of the model, as a method sees it.

    `deltas[i]` is the task vector of `experts[i]`: float32 (or float64), all of one shape, on one device; for a linear
    weight the shape is (out, in), and a task vector may be kept as its two factors.
    """

    deltas: Sequence[TaskVector]
    name: str = "layer"
    experts: Sequence[str] = ()
    base: Tensor | None = None
    """The base's tensor, for methods that work on weights and not on task vectors."""
    survey: Any = None
    """What the method's survey of the whole model found, where it made one."""
    full_shape: tuple[int, ...] | None = None
    """The shape of the tensor itself, where `deltas` are its coordinates in a smaller space."""
    offset: int = 0
    """The place of the first entry in the tensor, for a slice or a matrix of one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the tensor."""
        return self.full_shape or tuple(self.deltas[0].shape)

    @cached_property
    def dense(self) -> list[Tensor]:
        """The task vectors, each as one tensor."""
        return [dense(delta) for delta in self.deltas]

    def stacked(self) -> Tensor:
        """The task vectors as one tensor, shape (T, ...)."""
        return torch.stack(self.dense)

    def sum(self) -> Tensor:
        """Στᵢ."""
        return weighted_sum(self.deltas, [1.0] * len(self.deltas))

    def mean(self) -> Tensor:
        """(1/T) Στᵢ."""
        return weighted_sum(self.deltas, [1.0 / len(self.deltas)] * len(self.deltas))

    def zero(self) -> Tensor:
        """The task vector that changes nothing, of the shape of `deltas`."""
        return weighted_sum(self.deltas, [0.0] * len(self.deltas))

    def expert(self, index: int) -> str:
        """The name of an expert; its number where none was given."""
        return self.experts[index] if self.experts else str(index)

    def weights(self, given: Mapping[str, float]) -> list[float]:
        """The experts' weights in their order; 1 for an expert that `given` does not name."""
        return [given.get(self.expert(index), 1.0) for index in range(len(self.deltas))]

    def draws(self, seed: int, index: int) -> Tensor:
        """A number from [0, 1) for each entry, on the CPU: of this seed, expert, tensor and place alone."""
        shape = self.deltas[index].shape
        key = f"{seed}/{self.expert(index)}/{self.name.partition('[')[0]}"
        begin = self.offset % BLOCK
        return uniform(key, self.offset - begin, begin + shape.numel())[begin:].view(shape)


@dataclass(frozen=True)
class Update:
    """A merged task vector, before `scale`, and what the method measured on the way."""

    delta: Tensor
    measured: dict[str, float] = field(default_factory=dict)


def itself(layer: Layer) -> Any:
    """The layer that it is given."""
    return layer


class Walk(Protocol):
    """Goes over what is surveyed, anew at each call."""

    def __call__(self, work: Callable[[Layer], Any] = itself, *, sampled: bool = False) -> Iterable[Any]:
        """Yield what `work`, which may run in several threads, makes of each layer, in a fixed order.

        `sampled` yields a part of each, spread over all of them, which is enough for an estimate.
        """


def only(layer: Layer) -> Walk:
    """The walk over a model of one tensor."""

    def walk(work: Callable[[Layer], Any] = itself, *, sampled: bool = False) -> Iterable[Any]:
        return [work(layer)]

    return walk


def always(settings: Any) -> bool:
    """True, for a method that works by entry with every setting."""
    return True


@dataclass(frozen=True, kw_only=True)
class Method:
    """An entry of the registry.

    `merge` is applied to the linear weights inside blocks, and to every tensor where `settings.rest` is `method`.
    `survey` is for methods that must know the whole model, or the whole tensor, first: what it returns is each layer's
    `survey`. `by_entry` says that, given the survey, an entry of the result depends on the entries in its place alone:
    then `merge` and `survey` are given flat slices of tensors, many at a time, and no tensor is held as a whole.
    `experts` is the number of experts that the method takes, where it takes no other.
    """

    name: str
    source: str
    settings: type[Settings]
    merge: Callable[[Layer, Any], Update]
    survey: Callable[[Walk, Any], Any] | None = None
    survey_of: Callable[[Any], Scope] = lambda settings: "model"  # noqa: ARG005
    by_entry: Callable[[Any], bool] = lambda settings: False  # noqa: ARG005
    experts: int | None = None

    @property
    def summary(self) -> str:
        """The first line of what the method's function says of itself."""
        return (self.merge.__doc__ or "(no description)").strip().splitlines()[0]


__all__ = ["Layer", "LowRank", "Method", "Scope", "TaskVector", "Update", "Walk"]
