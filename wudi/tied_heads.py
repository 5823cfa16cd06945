"""Output heads that are copies of the input embedding: one model stores both, another the embedding alone."""

from typing import Any

import torch

from wudi.checkpoint import Checkpoint
from wudi.outline import Outline
from wudi.roles_by_class import known_model


def alias_of(tensor: str, expert: Outline, base: Outline) -> str | None:
    """The name under which an expert stores its value of a base's tensor; None where it stores none.

    A tied head that the expert leaves out is its embedding, as transformers loads it.

    Raises:
        WudiError: config.json names a known class, which cannot be built from it.
    """
    if tensor in expert.tensors:
        return tensor
    source = source_of(tensor, expert, expert.config or base.config)
    return source if source in base.tensors else None


def copies(expert: Outline, base: Outline) -> dict[str, str]:
    """The tensors that an expert stores beside their source and the base, which ties them, does not.

    Each comes with the expert's tensor that it has to equal.

    Raises:
        WudiError: config.json names a known class, which cannot be built from it.
    """
    config = base.config or expert.config
    found = {name: source_of(name, expert, config) for name in expert.tensors if name not in base.tensors}
    return {name: source for name, source in found.items() if source is not None and source in base.tensors}


def source_of(tensor: str, outline: Outline, config: dict[str, Any]) -> str | None:
    """The tensor of a checkpoint that `tensor` is a copy of by the class that a config names, stored or not."""
    model = known_model(config)
    if model is None or config.get("tie_word_embeddings") is False:
        return None
    own = model.own_name(tensor)
    if own not in model.ties:
        return None
    source = model.source(own)
    return next((name for name in outline.tensors if name != tensor and model.own_name(name) == source), None)


def untied(expert: Checkpoint, base: Outline) -> list[str]:
    """What is wrong with the copies that an expert stores and the base has no place for: values of their own."""
    return [
        f"unties its head: tensor {name} is not equal to {source}, and the base stores the one for both; save the base "
        "with a head of its own (tie_word_embeddings false in its config.json), or leave the expert out"
        for name, source in copies(expert, base).items()
        if not equal(expert, name, source)
    ]


def equal(checkpoint: Checkpoint, first: str, second: str) -> bool:
    """Whether two tensors of a checkpoint hold the same numbers, perhaps in two dtypes."""
    one, other = checkpoint.read(first), checkpoint.read(second)
    return torch.equal(one, other) if one.dtype == other.dtype else torch.equal(one.float(), other.float())
