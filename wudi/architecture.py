"""What each tensor is in the architecture: a linear weight inside a block, an embedding or head, or the rest.

The answer comes from the model's own classes, built without memory on the meta device, and from the tensor's name only
where no class is at hand: bare files and architectures that the installed transformers does not know.
"""

from wudi.outline import Outline
from wudi.role import Kind, Role
from wudi.roles_by_class import known_model
from wudi.roles_by_name import role_by_name

__all__ = ["Kind", "Role", "role_by_name", "roles", "tied"]


def roles(checkpoint: Outline) -> dict[str, Role]:
    """The role of every tensor of a checkpoint.

    Raises:
        WudiError: config.json names a known class, which cannot be built from it.
    """
    model, model_type = known_model(checkpoint.config), checkpoint.config.get("model_type")
    shapes = {name: info.shape for name, info in checkpoint.tensors.items()}
    return {
        name: (model and model.role(name, shapes)) or role_by_name(name, len(shape), model_type, shapes)
        for name, shape in shapes.items()
    }


def tied(checkpoint: Outline) -> dict[str, str]:
    """The tensors that are copies of another one by the model's definition, each with the name of that other one.

    Only pairs of which the checkpoint holds both; usually it holds one. The copies need not be equal in the files:
    transformers reads differing ones as two weights.

    Raises:
        WudiError: As `roles` does.
    """
    model = known_model(checkpoint.config)
    if model is None or checkpoint.config.get("tie_word_embeddings") is False:
        return {}
    stored = {model.own_name(name): name for name in checkpoint.tensors}
    sources = {alias: model.source(alias) for alias in model.ties}
    return {stored[alias]: stored[source] for alias, source in sources.items() if alias in stored and source in stored}
