"""The roles and ties that a model's own classes give, built without memory on the meta device."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from wudi.errors import WudiError
from wudi.role import Role
from wudi.roles_by_name import Shapes, is_head, stack_is_transposed


@dataclass(frozen=True)
class KnownModel:
    """What a class says of its weights: roles, shapes, and ties from a copy to the weight that it copies."""

    roles: dict[str, Role]
    shapes: dict[str, tuple[int, ...]]
    ties: dict[str, str]
    prefix: str
    rename: Callable[[str], str]

    def own_name(self, name: str) -> str | None:
        """The class's name for a checkpoint's tensor, which may miss or add a prefix or predate a renaming."""
        return self.prefixed(name) or self.prefixed(self.rename(name))

    def prefixed(self, name: str) -> str | None:
        """The class's name that differs by the base model's prefix at most, such as GPT-2's `transformer.`."""
        start = f"{self.prefix}."
        return next((own for own in (name, start + name, name.removeprefix(start)) if own in self.roles), None)

    def source(self, alias: str) -> str:
        """The weight that a tied one is in the end a copy of."""
        for _ in self.ties:
            alias = self.ties.get(alias, alias)
        return alias

    def role(self, name: str, shapes: Shapes) -> Role | None:
        """The role of one of a checkpoint's tensors; None where the class has no such weight."""
        own = self.own_name(name)
        if own is None:
            return None
        role = self.roles[own]
        return replace(role, transposed=self.transposed(name, own, shapes)) if role.kind == "linear" else role

    def transposed(self, name: str, own: str, shapes: Shapes) -> bool:
        """Whether the checkpoint stores (in, out): transformers transposes some weights when it loads them."""
        by_shape = stack_is_transposed(name, shapes)
        if by_shape is not None:
            return by_shape
        stored, loaded = shapes[name], self.shapes[own]
        turned = stored != loaded and stored == (*loaded[:-2], loaded[-1], loaded[-2])
        return self.roles[own].transposed != turned


def known_model(config: dict[str, Any]) -> KnownModel | None:
    """What is known of the model that config.json describes; None where transformers has no such class.

    Raises:
        WudiError: The class cannot be built from this config.json.
    """
    return known_model_of(json.dumps(config, sort_keys=True))


@lru_cache(maxsize=8)
def known_model_of(config: str) -> KnownModel | None:
    """`known_model` of a config's text: building the model takes seconds, and is asked for more than once."""
    model = meta_model(json.loads(config))
    if model is None:
        return None
    weights = dict(model.named_parameters(remove_duplicate=False))
    return KnownModel(
        roles=dict(roles_by_class(model)),
        shapes={name: tuple(weight.shape) for name, weight in weights.items()},
        ties=dict(getattr(model, "all_tied_weights_keys", None) or {}),
        prefix=str(getattr(model, "base_model_prefix", "")),
        rename=renaming(model),
    )


def renaming(model: nn.Module) -> Callable[[str], str]:
    """How transformers renames a checkpoint's tensors on loading: experts that become a stack, moved modules."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, rename_source_key

    transforms: list[Any] = get_model_conversion_mapping(model)  # type: ignore[arg-type]
    converters = [transform for transform in transforms if isinstance(transform, WeightConverter)]
    renamings = [transform for transform in transforms if not isinstance(transform, WeightConverter)]
    return lambda name: rename_source_key(name, renamings, converters)[0]


def roles_by_class(model: nn.Module) -> Iterator[tuple[str, Role]]:
    """The role of every parameter of a model."""
    modules = dict(model.named_modules(remove_duplicate=False))
    blocks = tuple(f"{path}." for path, module in modules.items() if is_block_list(path, module))
    for path, module in modules.items():
        for parameter, weight in module.named_parameters(recurse=False):
            name = f"{path}.{parameter}" if path else parameter
            yield name, role_by_class(module, parameter, weight.ndim, inside_block=path.startswith(blocks))


def is_block_list(path: str, module: nn.Module) -> bool:
    """Whether a module is a list of blocks, and not of heads."""
    return isinstance(module, nn.ModuleList) and not is_head(path)


def role_by_class(module: nn.Module, parameter: str, dimensions: int, *, inside_block: bool) -> Role:
    """The role of one parameter from the class of its module."""
    if isinstance(module, nn.Embedding) or (type(module).__name__.endswith("Embedding") and parameter == "weight"):
        return Role("embedding")
    if dimensions == 2 and is_matrix(module, parameter, inside_block=inside_block):
        transposed = type(module).__name__ == "Conv1D"
        return Role("linear", transposed) if inside_block else Role("embedding")
    if dimensions == 3 and inside_block and is_stack(module, parameter):
        return Role("linear", transposed=experts_are_transposed(module))
    return Role("rest")


def is_matrix(module: nn.Module, parameter: str, *, inside_block: bool) -> bool:
    """Whether a parameter of two dimensions is the matrix of a linear map."""
    if isinstance(module, nn.MultiheadAttention):
        return parameter.endswith("proj_weight")
    if isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D":
        return parameter == "weight"
    # Routers hold a bare weight. So do norms with a row for each head, and tables of positions.
    return inside_block and parameter == "weight" and not re.search("Norm|Embed", type(module).__name__)


def is_stack(module: nn.Module, parameter: str) -> bool:
    """Whether a parameter of three dimensions holds one matrix for each expert."""
    experts = hasattr(module, "is_transposed") or "Expert" in type(module).__name__
    return experts and not re.search("bias|scale", parameter)


def experts_are_transposed(module: nn.Module) -> bool:
    """Whether a module of experts stores (expert, in, out): by its own word, or else by its shapes."""
    marked = getattr(module, "is_transposed", None)
    if marked is not None:
        return bool(marked)
    shapes = {name: tuple(weight.shape) for name, weight in module.named_parameters(recurse=False)}
    return bool(stack_is_transposed("gate_up_proj", shapes))


def meta_model(config: dict[str, Any]) -> nn.Module | None:
    """The model that config.json describes, without weights; None where transformers has no such class."""
    architectures, model_type = config.get("architectures"), config.get("model_type")
    if not isinstance(architectures, list) or not architectures or not model_type:
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
