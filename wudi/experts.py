"""An expert: a fine-tuned checkpoint, a LoRA adapter, or the task vector that was written of either."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from wudi.adapter import Adapter
from wudi.adapter_layout import AdapterLayout
from wudi.checkpoint import Checkpoint
from wudi.errors import WudiError
from wudi.fit import NEW_ROWS, Fit, differences_of, weights_of
from wudi.low_rank import LowRank, TaskVector
from wudi.outline import Outline

TASK_VECTOR = "task_vector"
"""The value of `content` in the header of a file that holds differences and not weights."""
FACTORS = "factors"
"""The value of `form` there, if differences are kept as factors and tensors that are not there are unchanged."""
LEFT, RIGHT = ".left", ".right"
"""What follows a tensor's name in the names of its two factors, whose product has the shape that the base stores."""


@dataclass(frozen=True)
class ExpertOutline:
    """What can be known of an expert without reading a weight."""

    name: str
    outline: Outline

    @property
    def is_task_vector(self) -> bool:
        """Whether the files hold expert − base already."""
        return self.outline.metadata.get("content") == TASK_VECTOR

    @property
    def is_factored(self) -> bool:
        """Whether task vectors are kept as factors, and what is not there is unchanged."""
        return self.outline.is_adapter or (self.is_task_vector and self.outline.metadata.get("form") == FACTORS)

    @cached_property
    def layout(self) -> AdapterLayout | None:
        """What the LoRA adapter that the expert is changes; None where it holds every tensor.

        Raises:
            WudiError: It is an adapter of another kind.
        """
        return AdapterLayout(self.outline) if self.outline.is_adapter else None


@dataclass(frozen=True)
class Expert(ExpertOutline):
    """A named checkpoint that gives task vectors, whether it holds weights, differences or factors of differences."""

    outline: Checkpoint
    fit: Fit = field(default_factory=Fit)
    """Which of its tensors hold the values of the base's, and in which rows."""

    @property
    def checkpoint(self) -> Checkpoint:
        """Its files."""
        return self.outline

    @cached_property
    def adapter(self) -> Adapter | None:
        """The LoRA adapter that the expert is; None where it holds every tensor.

        Raises:
            WudiError: It is an adapter of another kind.
        """
        return Adapter(self.checkpoint) if self.checkpoint.is_adapter else None

    def delta(self, tensor: str, base: Tensor, *, transposed: bool | None = None) -> TaskVector:
        """The task vector of one tensor in float32, on the device of `base` (float32 too), in the shape of `base`.

        An expert that keeps factors gives `LowRank` for what it has factors of and for two-dimensional tensors that it
        leaves alone. `transposed` says that the base stores the weight as (in, out); an adapter guesses where it is
        None.

        Raises:
            WudiError: The expert's tensor holds NaN or infinity.
        """
        delta = self.stored(tensor, base, transposed)
        if delta is None:
            return LowRank.zero(tuple(base.shape), like=base) if base.ndim == 2 else torch.zeros_like(base)
        for part in [delta.left, delta.right] if isinstance(delta, LowRank) else [delta]:
            refuse_not_finite(part, f"expert {self.name}", self.checkpoint, tensor)
        return delta

    def delta_entries(self, tensor: str, base: Tensor, first: int, last: int) -> Tensor:
        """The entries from `first` to before `last` of a task vector that is not kept as factors, shape (n,).

        `base` has the same entries of the base, in float32, and says on which device.

        Raises:
            WudiError: The expert's tensor holds NaN or infinity.
        """
        delta = self.stored_entries(tensor, base, first, last)
        refuse_not_finite(delta, f"expert {self.name}", self.checkpoint, tensor)
        return delta

    def stored_entries(self, tensor: str, base: Tensor, first: int, last: int) -> Tensor:
        """`delta_entries`, unchecked."""
        name, rows = self.fit.name(tensor), self.fit.rows.get(tensor)
        if name is None:
            return torch.zeros_like(base)
        if rows is not None:
            return self.aligned_entries(name, rows, base, first, last)
        own = self.checkpoint.read_entries(name, first, last).to(base.device).to(torch.float32)
        return own if self.is_task_vector else own - base

    def aligned_entries(self, name: str, rows: Tensor, base: Tensor, first: int, last: int) -> Tensor:
        """The entries of a tensor whose rows are the base's in another order, or more or fewer."""
        own = self.checkpoint.read(name)
        if not self.is_task_vector:
            return weights_of(rows, own, base, first, last) - base
        has_new = name + NEW_ROWS in self.checkpoint.file_of
        new = self.checkpoint.read(name + NEW_ROWS) if has_new else own[:0]
        return differences_of(rows, own, new, base, first, last)

    def stored_names(self, tensor: str) -> list[str]:
        """The tensors of the files that the task vector of a tensor is read from."""
        if self.adapter is not None:
            return self.adapter.stored_names(tensor)
        name = self.fit.name(tensor)
        parts = [] if name is None else [name, name + LEFT, name + RIGHT, name + NEW_ROWS]
        return [part for part in parts if part in self.checkpoint.file_of]

    def stored(self, tensor: str, base: Tensor, transposed: bool | None) -> TaskVector | None:
        """The task vector as the files have it, unchecked; None for a tensor that they leave alone."""
        if self.adapter is not None:
            return self.adapter.delta(tensor, base, transposed=transposed)
        if self.is_factored and tensor + LEFT in self.checkpoint.tensors:
            return LowRank(self.read(tensor + LEFT, base.device), self.read(tensor + RIGHT, base.device))
        if self.is_factored and tensor not in self.checkpoint.tensors:
            return None
        return self.stored_entries(tensor, base.reshape(-1), 0, base.numel()).view(base.shape)

    def read(self, tensor: str, device: torch.device) -> Tensor:
        """A tensor of the files in float32 on the device."""
        return self.checkpoint.read(tensor).to(device).to(torch.float32)


def refuse_not_finite(values: Tensor, who: str, checkpoint: Checkpoint, tensor: str) -> None:
    """Raise a `WudiError` where there is NaN or infinity among the values of a tensor."""
    # A sum shows both, many times faster than a look at each; where it overflows by itself, all are looked at.
    if not torch.isfinite(values.sum()) and not torch.isfinite(values).all():
        raise WudiError(
            f"{who} ({checkpoint.path}): tensor {tensor} holds NaN or infinity; "
            "fetch the checkpoint again, or leave it out of the merge"
        )


def read_base(base: Checkpoint, tensor: str, device: torch.device) -> Tensor:
    """A tensor of the base in float32 on the device.

    Raises:
        WudiError: It holds NaN or infinity.
    """
    weight = base.read(tensor).to(device).to(torch.float32)
    refuse_not_finite(weight, "base", base, tensor)
    return weight


def open_experts(paths: Sequence[Path]) -> list[Expert]:
    """Open experts, each named after its folder or file, with as many folders above it as tell all of them apart."""
    whole = [path.resolve().with_suffix("") if path.suffix == ".safetensors" else path.resolve() for path in paths]
    if len(set(whole)) < len(whole):
        raise WudiError(f"{max(whole, key=whole.count)}: given as an expert more than once; name each expert once")
    names: list[str] = []
    for depth in range(1, max((len(path.parts) for path in whole), default=1) + 1):
        names = ["/".join(path.parts[-depth:]) for path in whole]
        if len(set(names)) == len(names):
            break
    return [Expert(name, Checkpoint(path)) for name, path in zip(names, paths, strict=True)]
