"""What a method is: a function from one layer's task vectors to its merged task vector."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from wudi.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One tensor of the model, as a method sees it.

    `deltas[i]` is the task vector of `experts[i]`: float32 (or float64), all of one shape, on one device. For a
    linear weight the shape is (out, in).
    """

    deltas: Sequence[Tensor]
    name: str = "layer"
    experts: Sequence[str] = ()
    thresholds: Sequence[float] | None = None
    """Each expert's magnitude threshold over the whole model, where the method asked for a survey."""

    def expert(self, index: int) -> str:
        """The name of an expert; its number where none was given."""
        return self.experts[index] if self.experts else str(index)

    def generator(self, seed: int, index: int) -> torch.Generator:
        """A generator of this seed, expert and tensor alone, so that draws depend on no order and no worker."""
        key = f"{seed}/{self.expert(index)}/{self.name}".encode()
        return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(key).digest()[:7], "big"))


@dataclass(frozen=True)
class Update:
    """A merged task vector, before `scale`, and what the method measured on the way."""

    delta: Tensor
    measured: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Method:
    """An entry of the registry.

    `merge` is applied to the linear weights inside blocks, and to every tensor where `settings.rest` is `method`.
    `survey` names for given settings the fraction of entries whose magnitude threshold over the whole model the
    method needs (None: it needs none), and `surveyed` what is thresholded.
    """

    name: str
    source: str
    settings: type[Settings]
    merge: Callable[[Layer, Any], Update]
    survey: Callable[[Any], float | None] = lambda _: None
    surveyed: Callable[[Layer, Any], Sequence[Tensor]] = lambda layer, _: layer.deltas

    @property
    def summary(self) -> str:
        """The first line of what the method's function says of itself."""
        return (self.merge.__doc__ or "").strip().splitlines()[0]
