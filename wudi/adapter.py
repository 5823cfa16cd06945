"""A LoRA adapter as PEFT writes it: what it adds to each tensor of the base, as factors.

A linear weight of shape (out, in) has `lora_A` (r, in) and `lora_B` (out, r) in the file and gets scaling · BA; where
the base stores it as (in, out), as GPT-2's Conv1D does, it gets the transpose. An embedding (tokens, dim) has
`lora_embedding_A` (r, tokens) and `lora_embedding_B` (dim, r) and gets scaling · (BA)ᵀ. Any other tensor of the file,
trained biases and `modules_to_save`, takes the place of the base's. Which modules are adapted is read off the file.
"""

import torch
from torch import Tensor

from wudi.adapter_layout import AdapterLayout, Change
from wudi.checkpoint import Checkpoint
from wudi.low_rank import LowRank, TaskVector


class Adapter(AdapterLayout):
    """The adapter in a checkpoint's folder, with its weights.

    Raises:
        WudiError: As the layout.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        self.checkpoint = checkpoint

    def delta(self, tensor: str, base: Tensor, *, transposed: bool | None = None) -> TaskVector | None:
        """The task vector of one tensor in float32, on the device of `base`; None where the adapter leaves it alone.

        `transposed` says that the base stores the weight as (in, out); None goes by the shape, and for square weights
        by what the adapter's own settings say.
        """
        place = self.place(tensor)
        if place is None:
            return None
        change = self.changes[place]
        product = None if change.a is None else self.product(change, base, transposed)
        difference = None if change.value is None else replaced(self.checkpoint.read(change.value), base)
        if product is None or difference is None:
            return product if difference is None else difference
        return difference + product.dense()

    def product(self, change: Change, base: Tensor, transposed: bool | None) -> LowRank:
        """The factors in the shape of `base`, the scaling in the left one."""
        assert change.a is not None and change.b is not None, f"{change.module} misses a factor"
        right = self.checkpoint.read(change.a).to(base.device).to(torch.float32)
        left = self.checkpoint.read(change.b).to(base.device).to(torch.float32) * self.settings.scaling(change.module)
        product = LowRank(left, right)
        if transposed is None:
            square = base.shape[0] == base.shape[1]
            transposed = self.settings.fan_in_fan_out if square else product.shape != base.shape
        return product.T if change.embedding or transposed else product


def replaced(value: Tensor, base: Tensor) -> Tensor | None:
    """The difference value − base; None where the value is the base's own, perhaps rounded to the adapter's dtype."""
    if torch.equal(base.to(value.dtype), value.to(base.device)):
        return None
    return value.to(base.device).to(torch.float32) - base
