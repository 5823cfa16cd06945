"""A recipe: a method with its settings."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

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
            raise SettingError("method", f"missing; takes {', '.join(METHODS)}")
        if not isinstance(name, str) or name not in METHODS:
            raise SettingError("method", f"got {name!r}; {nearest(str(name), list(METHODS))}")
        method = METHODS[name]
        return cls(method, method.settings.parse(settings))

    def merge(self, layer: Layer) -> Update:
        """Apply the method to one layer; the result is before `scale`."""
        return self.method.merge(layer, self.settings)

    def as_dict(self) -> dict[str, Any]:
        """The recipe with every default written out, as `parse` takes it."""
        return {"method": self.method.name, **asdict(self.settings)}
