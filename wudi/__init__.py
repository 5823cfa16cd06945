"""Model merging: tensors in, tensors out. Needs torch and safetensors; transformers tells a layer's kind.

The public names are imported when they are first used, so that `wudi.errors` and `wudi --help` need not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wudi.errors import WudiError
    from wudi.methods import METHODS, Layer, Method, Update
    from wudi.recipe import Recipe

__all__ = ["METHODS", "Layer", "Method", "Recipe", "Update", "WudiError"]

_HOMES = {"Recipe": "wudi.recipe", "WudiError": "wudi.errors"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'wudi' has no attribute {name!r}")
    return getattr(import_module(_HOMES.get(name, "wudi.methods")), name)
