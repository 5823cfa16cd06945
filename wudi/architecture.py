"""What each tensor is in the architecture: a linear weight inside a block, an embedding or head, or the rest.

The answer comes from the model's own classes, built without memory on the meta device, and from the tensor's name only
where no class is at hand: bare files and architectures that the installed transformers does not know.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property

from wudi.outline import Outline
from wudi.role import Kind, Role
from wudi.roles_by_class import known_model
from wudi.roles_by_name import in_block, role_by_name

__all__ = ["Kind", "Role", "role_by_name", "roles", "tied"]


class Roles(Mapping[str, Role]):
    """The role of every tensor of a checkpoint, found out when one is first asked for.

    Building the model's class takes seconds, and a method that merges every tensor alike never asks.

    Raises:
        WudiError: config.json names a known class, which cannot be built from it.
    """

    def __init__(self, checkpoint: Outline) -> None:
        self._checkpoint = checkpoint

    def __getitem__(self, name: str) -> Role:
        return self._roles[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._checkpoint.tensors)

    def __len__(self) -> int:
        return len(self._checkpoint.tensors)

    @cached_property
    def _roles(self) -> dict[str, Role]:
        config = self._checkpoint.config
        model, model_type = known_model(config), config.get("model_type")
        shapes = {name: info.shape for name, info in self._checkpoint.tensors.items()}
        return {
            name: (model and model.role(name, shapes)) or role_by_name(name, len(shape), model_type, shapes)
            for name, shape in shapes.items()
        }


def roles(checkpoint: Outline) -> Mapping[str, Role]:
    """The role of every tensor of a checkpoint."""
    return Roles(checkpoint)


def tied(checkpoint: Outline) -> dict[str, str]:
    """The tensors that are copies of another one by the model's definition, each with the name of that other one.

    Only pairs of which the checkpoint holds both; usually it holds one. The copies need not be equal in the files:
    transformers reads differing ones as two weights.

    Raises:
        WudiError: As `Roles`.
    """
    if checkpoint.config.get("tie_word_embeddings") is False or not might_be_tied(checkpoint):
        return {}
    model = known_model(checkpoint.config)
    if model is None:
        return {}
    stored = {model.own_name(name): name for name in checkpoint.tensors}
    sources = {alias: model.source(alias) for alias in model.ties}
    return {stored[alias]: stored[source] for alias, source in sources.items() if alias in stored and source in stored}


def might_be_tied(checkpoint: Outline) -> bool:
    """Whether two tensors outside the blocks have one shape, without which nothing is a copy."""
    shapes = [info.shape for name, info in checkpoint.tensors.items() if not in_block(name)]
    return len(set(shapes)) < len(shapes)
