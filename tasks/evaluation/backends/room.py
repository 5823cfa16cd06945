"""How many prompts a device has room for, from the model's configuration alone."""

from typing import Any

import psutil
import torch

LARGEST = 256
"""More prompts at a time than this gain little: products of this size keep a device busy."""
SHARE = 0.5
"""Of the memory that the weights leave: activations, padding and the allocator's gaps take the rest."""


def prompts_with_room(model: Any, tokens: int, *, choices: bool) -> int:
    """A power of two of prompts whose keys and values, and logits where those of every token are asked for, fit.

    The device's whole memory counts and not what is free at the moment, so that two runs on one machine take the same
    batches; where other programs use it, the batch is lowered when memory runs out.

    Args:
        model: A transformers model on its device.
        tokens: Of the longest prompt with its answer.
        choices: Whether the log-likelihood of every token is computed (float32, and once more as a softmax).
    """
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    width = 2 * config.num_hidden_layers * (getattr(config, "num_key_value_heads", None) or heads) * head_dim
    bytes_a_token = width * model.dtype.itemsize + (2 * 4 * config.vocab_size if choices else 0)
    weights = sum(parameter.nbytes for parameter in model.parameters())
    room = SHARE * (memory_of(model.device) - weights)
    fitting = max(1, min(LARGEST, int(room / (bytes_a_token * tokens))))
    return 1 << (fitting.bit_length() - 1)


def memory_of(device: torch.device) -> int:
    """Bytes of memory that a device has."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[1])
    return int(psutil.virtual_memory().total)
