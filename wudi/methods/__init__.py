"""The methods, one file a family; a new one is a function, its settings and an entry in its family's METHODS.

Another package adds its own by an entry point of the group `wudi.methods`: its name is that of the
`Method` that it points to.
"""

from wudi.methods.method import Layer, Method, Update
from wudi.methods.registry import METHODS

__all__ = ["METHODS", "Layer", "Method", "Update"]
