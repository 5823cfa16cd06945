"""An expert: a fine-tuned checkpoint, or the task vector that was written of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from wudi.checkpoint import Checkpoint
from wudi.errors import WudiError

TASK_VECTOR = "task_vector"
"""The value of `content` in the header of a file that holds differences and not weights."""


@dataclass(frozen=True)
class Expert:
    """A named checkpoint that gives task vectors, whether it holds weights or differences."""

    name: str
    checkpoint: Checkpoint

    @property
    def is_task_vector(self) -> bool:
        """Whether the files hold expert − base already."""
        return self.checkpoint.metadata.get("content") == TASK_VECTOR

    def delta(self, tensor: str, base: Tensor) -> Tensor:
        """The task vector of one tensor in float32, on the device of `base` (float32 too).

        Raises:
            WudiError: The expert's tensor holds NaN or infinity.
        """
        own = self.checkpoint.read(tensor).to(base.device).to(torch.float32)
        if not torch.isfinite(own).all():
            raise not_finite(f"expert {self.name}", self.checkpoint, tensor)
        return own if self.is_task_vector else own - base


def not_finite(who: str, checkpoint: Checkpoint, tensor: str) -> WudiError:
    """The error for a tensor with NaN or infinity."""
    return WudiError(
        f"{who} ({checkpoint.path}): tensor {tensor} holds NaN or infinity; "
        "fetch the checkpoint again, or leave it out of the merge"
    )


def read_base(base: Checkpoint, tensor: str, device: torch.device) -> Tensor:
    """A tensor of the base in float32 on the device.

    Raises:
        WudiError: It holds NaN or infinity.
    """
    weight = base.read(tensor).to(device).to(torch.float32)
    if not torch.isfinite(weight).all():
        raise not_finite("base", base, tensor)
    return weight


def open_experts(paths: Sequence[Path]) -> list[Expert]:
    """Open experts, each named after its folder or file; after its whole path where two would share a name."""
    short = [path.stem if path.suffix == ".safetensors" else path.resolve().name for path in paths]
    names = [name if short.count(name) == 1 else str(path) for name, path in zip(short, paths, strict=True)]
    if len(set(names)) < len(names):
        raise WudiError(f"{max(names, key=names.count)}: given as an expert more than once; name each expert once")
    return [Expert(name, Checkpoint(path)) for name, path in zip(names, paths, strict=True)]
