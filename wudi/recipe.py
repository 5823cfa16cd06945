"""A recipe: a method with its settings."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import torch

from wudi.errors import WudiError
from wudi.low_rank import precise
from wudi.methods import METHODS, Layer, Method, Update
from wudi.settings import SettingError, Settings, nearest


@dataclass(frozen=True)
class Recipe:
    """A method and settings of its own class."""

    method: Method
    settings: Settings

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Make a recipe from `{"method": NAME, SETTING: VALUE, ...}`.

        Raises:
            SettingError: No method, an unknown one, or a setting that is unknown or out of range.
        """
        settings = dict(values)
        name = settings.pop("method", None)
        if name is None:
            near = [key for key in settings if nearest(str(key), ["method"]) == "did you mean method?"]
            hint = f" (did you mean it by {near[0]}?)" if near else ""
            raise SettingError("method", f"missing{hint}; takes {', '.join(METHODS)}")
        if not isinstance(name, str) or name not in METHODS:
            raise SettingError("method", f"got {name!r}; {nearest(str(name), list(METHODS))}")
        method = METHODS[name]
        return cls(method, method.settings.parse(settings))

    def __reduce__(self) -> tuple[Callable[[Mapping[str, Any]], Self], tuple[dict[str, Any]]]:
        # By the method's name: its functions are those of the process that asks.
        return type(self).parse, (self.as_dict(),)

    def check(self, experts: Sequence[str]) -> None:
        """See whether the recipe fits the experts that it is to merge.

        Raises:
            SettingError: A method for another number of experts, or a weight for an expert that is none of these.
        """
        takes = self.method.experts
        if takes is not None and len(experts) != takes:
            raise SettingError("method", f"{self.method.name} takes {takes} experts; got {len(experts)}")
        for name in getattr(self.settings, "weights", {}):
            if name not in experts:
                raise SettingError(f"weights.{name}", f"no such expert; {nearest(name, list(experts))}")
        if not any(getattr(self.settings, "weights", {}).get(name, 1.0) for name in experts):
            raise SettingError("weights", "got 0 for every expert; takes a weight for at least one")

    @torch.no_grad()
    def merge(self, layer: Layer) -> Update:
        """Apply the method to one layer; the result is before `scale`. Half precision is taken as float32.

        Raises:
            SettingError: The recipe does not fit the layer's experts.
            WudiError: Task vectors of several shapes, or a method that returns something else than an update of theirs.
        """
        self.check([layer.expert(index) for index in range(len(layer.deltas))])
        shapes = {tuple(delta.shape) for delta in layer.deltas}
        if len(shapes) != 1:
            raise WudiError(
                f"{layer.name}: got task vectors of shapes {sorted(shapes)}; takes one or more of one shape"
            )
        update = self.method.merge(replace(layer, deltas=[precise(delta) for delta in layer.deltas]), self.settings)
        if not isinstance(update, Update) or update.delta.shape != layer.deltas[0].shape:
            got = list(update.delta.shape) if isinstance(update, Update) else type(update).__name__
            raise WudiError(f"method {self.method.name}: got {got}; takes an Update of shape {list(*shapes)}")
        return update

    def as_dict(self) -> dict[str, Any]:
        """The recipe with every default written out, as `parse` takes it; empty lists and mappings are left out."""
        settings = {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self.settings).items()
        }
        return {"method": self.method.name} | {name: value for name, value in settings.items() if value not in ([], {})}
