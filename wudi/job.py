"""A merge as it is to be done: what it writes, and what decides every byte of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from wudi.checkpoint import Checkpoint
from wudi.folder import SINGLE
from wudi.hashes import headers_sha256
from wudi.inputs import Inputs
from wudi.model_folder import versions
from wudi.placement import Placement
from wudi.tensor_info import TensorInfo
from wudi.tensor_merge import TensorMerge

DType = Literal["auto", "float32", "bfloat16", "float16"]
Precision = Literal["float32", "tf32"]
DTYPES: dict[str, tuple[str, torch.dtype]] = {
    "float32": ("F32", torch.float32),
    "bfloat16": ("BF16", torch.bfloat16),
    "float16": ("F16", torch.float16),
}
TORCH_DTYPES = {"F64": torch.float64, **dict(DTYPES.values())}


@dataclass(frozen=True)
class Job:
    """One merge: what it computes, where, and what it writes."""

    tensors: TensorMerge
    placement: Placement
    dtype: DType
    precision: Precision
    vocabulary: tuple[str, ...] = ()
    """What becomes of tokens that not all models have, in words."""

    @property
    def inputs(self) -> Inputs:
        """The base and its experts."""
        return self.tensors.inputs

    @property
    def base(self) -> Checkpoint:
        """The model that is merged into."""
        return self.inputs.base

    def plan(self) -> dict[str, Any]:
        """What decides the output's bytes, but for what the files hold, which is hashed as it is read.

        An interrupted run is continued by one with the same plan alone.
        """
        return {
            "recipe": self.tensors.recipe.as_dict(),
            "config": self.base.config,  # which tells each tensor's kind
            "headers": {label: headers_sha256(files) for label, files in self.inputs.checkpoints.items()},
            "dtype": self.dtype,
            "precision": self.precision,
            "measures": self.tensors.measures,
            "vocabulary": list(self.vocabulary),
            "versions": versions(),
            **self.placement.describe(),
        }

    def output_shards(self) -> Mapping[str, Sequence[str]]:
        """The tensors of each output file: the base's own, and one `model.safetensors` for a bare file."""
        if self.base.folder is None:
            return {SINGLE: next(iter(self.base.shards.values()))}
        return self.base.shards

    def infos(self) -> dict[str, TensorInfo]:
        """The dtype and shape of every output tensor."""
        infos = self.base.tensors
        if self.dtype == "auto":
            return infos
        name = DTYPES[self.dtype][0]
        return {tensor: replace(info, dtype=name) if info.floating else info for tensor, info in infos.items()}


def torch_dtype(info: TensorInfo) -> torch.dtype:
    """The torch dtype of a floating tensor; of others, which are copied, it does not matter."""
    return TORCH_DTYPES.get(info.dtype, torch.float32)
