"""Tensors that a model computes for itself, whatever its files say: a checkpoint may hold them or leave them out."""

import re

from wudi.tensor_info import TensorInfo

COMPUTED = re.compile(r"(^|\.)(rotary_emb\.inv_freq|(attn|attention)\.masked_bias|(embeddings\.)?position_ids)$")
MASK = re.compile(r"(^|\.)(attn|attention)\.bias$")


def is_computed(name: str, info: TensorInfo) -> bool:
    """Whether a tensor is a frequency table, a causal mask or a row of positions, as older checkpoints hold them."""
    return bool(COMPUTED.search(name)) or (bool(MASK.search(name)) and len(info.shape) == 4)
