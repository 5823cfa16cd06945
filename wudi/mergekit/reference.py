"""A model as mergekit names it: `PATH`, `PATH@REVISION`, `PATH+LORA`, or the same as a mapping."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from wudi.errors import WudiError
from wudi.fragment import Source

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Reference:
    """A model, or a LoRA adapter upon it."""

    model: Source
    lora: Source | None = None

    @classmethod
    def parse(cls, place: str, value: Any) -> Self:
        """Read what stands in the file at `place`.

        Raises:
            WudiError: It names no model.
        """
        if isinstance(value, str):
            model, *loras = value.split("+")
            if len(loras) > 1:
                raise WudiError(f"{place}: got {value!r}; takes PATH, PATH@REVISION or PATH+LORA")
            return cls(source(place, model), source(place, loras[0]) if loras else None)
        if not isinstance(value, Mapping) or "model" not in value:
            raise WudiError(f"{place}: got {value!r}; takes the name of a model: PATH, PATH@REVISION or PATH+LORA")
        lora = value.get("lora")
        return cls(source(place, value["model"]), source(place, lora) if lora else None)

    def __str__(self) -> str:
        return f"{self.model}+{self.lora}" if self.lora else str(self.model)


def source(place: str, value: Any) -> Source:
    """A path with its revision; a folder is told from a Hub id by being there, as mergekit does it.

    Raises:
        WudiError: There is no path in it.
    """
    if isinstance(value, Mapping) and isinstance(value.get("path"), str):
        revision = value.get("revision")
        return Source(as_source(value["path"]), None if revision is None else str(revision))
    if not isinstance(value, str) or not value or value.count("@") > 1:
        raise WudiError(f"{place}: got {value!r}; takes the name of a model: PATH or PATH@REVISION")
    path, _, revision = value.partition("@")
    return Source(as_source(path), revision or None)


def as_source(path: str) -> str:
    """A path as a source of `params.yaml`, in which a folder starts with `./`, `/` or `~`."""
    is_folder = Path(path).is_dir() or HUB_ID.fullmatch(path) is None
    return f"./{path}" if is_folder and "://" not in path and not path.startswith((".", "/", "~")) else path


def is_folder(found: Source) -> bool:
    """Whether a source is a folder of this machine."""
    return found.source.startswith((".", "/", "~"))
