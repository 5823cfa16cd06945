"""The methods, one a file; adding one is a function, its settings and an entry here."""

from wudi.methods import average, dare_ties, swudi, task_arithmetic, ties, wudi
from wudi.methods.method import Layer, Method, Update

METHODS: dict[str, Method] = {
    module.METHOD.name: module.METHOD for module in (average, task_arithmetic, ties, dare_ties, wudi, swudi)
}

__all__ = ["METHODS", "Layer", "Method", "Update"]
