"""What each tensor is in the architecture: a linear weight inside a block, an embedding or head, or the rest.

The answer comes from the model's own classes, built without memory on the meta device, and from the tensor's name only
where no class is at hand: bare files and architectures that the installed transformers does not know.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from wudi.checkpoint import Checkpoint
from wudi.errors import WudiError

Kind = Literal["linear", "embedding", "rest"]


@dataclass(frozen=True)
class Role:
    """A tensor's kind, and whether it is stored as (in, out), as GPT-2's Conv1D does, and not as (out, in)."""

    kind: Kind
    transposed: bool = False


def roles(checkpoint: Checkpoint) -> dict[str, Role]:
    """The role of every tensor of a checkpoint."""
    known = dict(roles_by_class(checkpoint.config))
    return {name: known.get(name) or role_by_name(name, len(info.shape)) for name, info in checkpoint.tensors.items()}


def roles_by_class(config: dict[str, Any]) -> Iterator[tuple[str, Role]]:
    """The roles that the classes of the model in config.json give; nothing where they are not known."""
    model = meta_model(config)
    if model is None:
        return
    blocks = tuple(f"{name}." for name, module in model.named_modules() if isinstance(module, nn.ModuleList))
    for path, module in model.named_modules():
        for parameter, weight in module.named_parameters(recurse=False):
            name = f"{path}.{parameter}" if path else parameter
            yield name, role_by_class(module, parameter, weight.ndim, inside_block=path.startswith(blocks))


def role_by_class(module: nn.Module, parameter: str, dimensions: int, *, inside_block: bool) -> Role:
    """The role of one parameter from the class of its module."""
    is_conv1d = type(module).__name__ == "Conv1D"
    if isinstance(module, nn.Embedding):
        return Role("embedding")
    if (isinstance(module, nn.Linear) or is_conv1d) and parameter == "weight" and dimensions == 2:
        return Role("linear", transposed=is_conv1d) if inside_block else Role("embedding")
    return Role("rest")


def meta_model(config: dict[str, Any]) -> nn.Module | None:
    """The model that config.json describes, without weights; None where transformers has no such class."""
    architectures, model_type = config.get("architectures") or [], config.get("model_type")
    if not architectures or not model_type:
        return None
    import transformers

    architecture = getattr(transformers, str(architectures[0]), None)
    is_model = isinstance(architecture, type) and issubclass(architecture, transformers.PreTrainedModel)
    if not is_model or model_type not in transformers.CONFIG_MAPPING:
        return None
    settings = {key: value for key, value in config.items() if key != "model_type"}
    try:
        with torch.device("meta"):
            model: nn.Module = architecture(transformers.AutoConfig.for_model(model_type, **settings))
    except Exception as error:  # a wrong value in config.json can raise anything in the model's class
        raise WudiError(
            f"config.json: transformers cannot build {architectures[0]} from it ({type(error).__name__}: {error})"
        ) from None
    return model


EMBEDDING = re.compile(r"(^|\.)(embed\w*|wte|wpe|lm_head|\w*embeddings?|shared|score|classifier)\.weight$")
CONV1D = re.compile(r"\.(c_attn|c_proj|c_fc)\.weight$")
IN_BLOCK = re.compile(r"\.\d+\.")


def role_by_name(name: str, dimensions: int) -> Role:
    """The role that a tensor's name suggests."""
    if EMBEDDING.search(name):
        return Role("embedding")
    if dimensions == 2 and name.endswith(".weight") and IN_BLOCK.search(name):
        return Role("linear", transposed=bool(CONV1D.search(name)))
    return Role("rest")
