"""Settings of a method: declared once as a frozen dataclass, checked when one is made."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Literal, Self, get_type_hints

from wudi.setting_values import SettingError, allowed, checked, nearest

__all__ = ["EverywhereSettings", "Rest", "SettingError", "Settings", "allowed", "default_of", "nearest", "setting"]

Rest = Literal["average", "base", "sum"]
"""What embeddings, the head, norms and biases get: the mean of the experts' task vectors, nothing, or their sum."""


def setting(
    default: Any,
    doc: str,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
) -> Any:
    """Declare a field of a `Settings` class with its default, one line of documentation and its bounds.

    The bounds of a mapping are those of its values.
    """
    metadata = {"doc": doc, "at_least": at_least, "above": above, "at_most": at_most}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def default_of(declared: Field[Any]) -> Any:
    """The default of a declared setting."""
    return declared.default if declared.default_factory is MISSING else declared.default_factory()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every method takes: those for linear weights use it as it is, the others `EverywhereSettings`."""

    scale: float = setting(1.0, "factor on the method's merged task vector")
    rest: Rest | Literal["method"] = setting("average", "what the tensors get that the method does not merge")
    include: tuple[str, ...] = setting((), "patterns of tensor names: the method merges these and no others")
    exclude: tuple[str, ...] = setting((), "patterns of tensor names that the method leaves to `rest`")

    def __post_init__(self) -> None:
        hints = self.hints()
        for declared in fields(self):
            value = checked(declared, hints[declared.name], getattr(self, declared.name))
            object.__setattr__(self, declared.name, value)

    @classmethod
    def hints(cls) -> dict[str, Any]:
        """The type of each setting; `rest: method` is for methods that work on any tensor."""
        return {**get_type_hints(cls), "rest": Rest}

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Make settings from a mapping as YAML or the command line gives it.

        Raises:
            SettingError: A key is not a setting of this class (the nearest one is named), or a value does not fit.
        """
        known = [declared.name for declared in fields(cls)]
        for key in values:
            if key not in known:
                raise SettingError(str(key), f"no such setting; {nearest(str(key), known)}")
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class EverywhereSettings(Settings):
    """What a method takes that works on any tensor, and by default on all of them.

    Raises:
        SettingError: `include` or `exclude` without a word on what the other tensors get.
    """

    rest: Rest | Literal["method"] = setting("method", "what the tensors get that the method does not merge")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rest == "method" and (self.include or self.exclude):
            raise SettingError(
                "rest", "got method beside include or exclude; takes what the other tensors get: average, base or sum"
            )

    @classmethod
    def hints(cls) -> dict[str, Any]:
        """The type of each setting, as it is written."""
        return get_type_hints(cls)
