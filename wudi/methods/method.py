"""What a method is: a function from one layer's task vectors to its merged task vector."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from wudi.low_rank import LowRank, TaskVector, dense, weighted_sum
from wudi.settings import Settings


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

    def generator(self, seed: int, index: int) -> torch.Generator:
        """A generator of this seed, expert and tensor alone, so that draws depend on no order and no worker."""
        key = f"{seed}/{self.expert(index)}/{self.name}".encode()
        return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(key).digest()[:7], "big"))


@dataclass(frozen=True)
class Update:
    """A merged task vector, before `scale`, and what the method measured on the way."""

    delta: Tensor
    measured: dict[str, float] = field(default_factory=dict)


Walk = Callable[[], Iterable[Layer]]
"""Walks over every tensor that the method merges, anew at each call."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """An entry of the registry.

    `merge` is applied to the linear weights inside blocks, and to every tensor where `settings.rest` is `method`.
    `survey` is for methods that must know the whole model first: what it returns is each layer's `survey`. `experts`
    is the number of experts that the method takes, where it takes no other.
    """

    name: str
    source: str
    settings: type[Settings]
    merge: Callable[[Layer, Any], Update]
    survey: Callable[[Walk, Any], Any] = lambda walk, settings: None  # noqa: ARG005
    experts: int | None = None

    @property
    def summary(self) -> str:
        """The first line of what the method's function says of itself."""
        return (self.merge.__doc__ or "(no description)").strip().splitlines()[0]


__all__ = ["Layer", "LowRank", "Method", "TaskVector", "Update", "Walk"]
