"""The base and its experts, tensor by tensor or slice by slice, as task vectors in float32 on a device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from wudi.architecture import Role, roles, tied
from wudi.checkpoint import Checkpoint
from wudi.errors import WudiError
from wudi.experts import Expert, read_base, refuse_not_finite
from wudi.low_rank import dense
from wudi.methods.method import Layer, TaskVector


@dataclass(frozen=True)
class Inputs:
    """What a merge reads."""

    base: Checkpoint
    experts: Sequence[Expert]

    @cached_property
    def roles(self) -> Mapping[str, Role]:
        """What each tensor is in the model."""
        return roles(self.base)

    @cached_property
    def names(self) -> list[str]:
        """The experts' names."""
        return [expert.name for expert in self.experts]

    @property
    def by_name(self) -> dict[str, Checkpoint]:
        """The experts' files."""
        return {expert.name: expert.checkpoint for expert in self.experts}

    @cached_property
    def checkpoints(self) -> dict[str, Checkpoint]:
        """The base's and the experts' files, each under a name of its own."""
        return {"base": self.base} | {f"experts/{expert.name}": expert.checkpoint for expert in self.experts}

    @cached_property
    def are_dense(self) -> bool:
        """Whether every expert holds each tensor's entries, and not factors of them."""
        return not any(expert.is_factored for expert in self.experts)

    @cached_property
    def copies(self) -> dict[str, str]:
        """Tied tensors that are stored twice, equal in every model, each with the name of the one it is a copy of."""
        return {copy: source for copy, source in tied(self.base).items() if self.equal_everywhere(copy, source)}

    def equal_everywhere(self, copy: str, source: str) -> bool:
        """Whether two tensors of the base are equal, and their task vectors too."""
        if not torch.equal(self.base.read(copy), self.base.read(source)):
            return False
        cpu = torch.device("cpu")
        return all(
            torch.equal(expert.checkpoint.read(copy), expert.checkpoint.read(source))
            if {copy, source} <= expert.checkpoint.file_of.keys()
            else torch.equal(*(dense(expert.delta(name, read_base(self.base, source, cpu))) for name in (copy, source)))
            for expert in self.experts
        )

    def slice(self, name: str, first: int, last: int, device: torch.device, survey: Any = None) -> Layer:
        """The entries from `first` to before `last`, shape (n,), of the base and of each task vector.

        Raises:
            WudiError: An input holds NaN or infinity.
        """
        weight = self.base.read_entries(name, first, last).to(device).to(torch.float32)
        refuse_not_finite(weight, "base", self.base, name)
        deltas = [expert.delta_entries(name, weight, first, last) for expert in self.experts]
        return Layer(deltas=deltas, name=name, experts=self.names, base=weight, survey=survey, offset=first)

    def layers(self, name: str, device: torch.device, survey: Any = None) -> list[Layer]:
        """The whole tensor's task vectors: (out, in) where it is linear, one layer a matrix of a stack."""
        weight = read_base(self.base, name, device)
        role = self.roles[name]
        deltas = [expert.delta(name, weight, transposed=role.transposed) for expert in self.experts]
        if weight.dim() == 0:  # a scalar is a vector of one
            weight, deltas = weight[None], [dense(delta)[None] for delta in deltas]
        if role.transposed:
            weight, deltas = turned(weight), [turned(delta) for delta in deltas]
        whole = Layer(deltas=deltas, name=name, experts=self.names, base=weight, survey=survey)
        return matrices(whole) if role.kind == "linear" and weight.dim() == 3 and len(weight) else [whole]

    def touched(self, name: str) -> list[tuple[str, str]]:
        """The tensors of the files that a tensor of the base is merged from: (label of the checkpoint, name)."""
        read = [("base", name)]
        for expert in self.experts:
            read += [(f"experts/{expert.name}", own) for own in expert.stored_names(name)]
        return read

    def let_go(self, name: str) -> None:
        """Give back the memory that a tensor's bytes have taken."""
        for label, own in self.touched(name):
            self.checkpoints[label].file(own).let_go(own)

    def refuse_differing_buffers(self) -> None:
        """Raise a `WudiError` where a buffer of whole numbers, which the base's stands for, is another in an expert."""
        for name, info in self.base.tensors.items():
            for expert in self.experts:
                if info.floating or expert.is_task_vector or name not in expert.checkpoint.file_of:
                    continue
                if not torch.equal(self.base.read(name), expert.checkpoint.read(name)):
                    raise WudiError(
                        f"expert {expert.name} ({expert.checkpoint.where}): tensor {name} ({info.dtype}) would be "
                        f"copied from the base ({self.base.where}), but differs from it; merge experts that share the "
                        "base's buffers"
                    )


def matrices(stack: Layer) -> list[Layer]:
    """One layer for each matrix of a stack, its place in the tensor with it."""
    assert stack.base is not None, "a stack is read with its base"
    size = stack.base[0].numel()
    return [
        replace(
            stack,
            name=f"{stack.name}[{index}]",
            base=weight,
            deltas=[dense(delta)[index] for delta in stack.deltas],
            offset=index * size,
        )
        for index, weight in enumerate(stack.base)
    ]


def turned(delta: TaskVector) -> Any:
    """The last two dimensions exchanged."""
    return delta.mT.contiguous() if isinstance(delta, Tensor) else delta.T
