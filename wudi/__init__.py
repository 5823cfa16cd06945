"""Model merging: tensors in, tensors out. Needs torch and safetensors; transformers tells a layer's kind."""

from wudi.errors import WudiError
from wudi.methods import METHODS, Layer, Method, Update
from wudi.recipe import Recipe

__all__ = ["METHODS", "Layer", "Method", "Recipe", "Update", "WudiError"]
