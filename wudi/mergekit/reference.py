"""A model as mergekit names it: `PATH`, `PATH@REVISION`, `PATH+LORA`, or the same as a mapping."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from wudi.errors import WudiError
from wudi.fragment import Source

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:")
"""What a URL begins with; one letter alone is a drive."""


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

    def whole(self, place: str) -> Source:
        """The model, where it has to be one without an adapter.

        Raises:
            WudiError: There is an adapter.
        """
        if self.lora is not None:
            raise WudiError(f"{place}: got {self}; takes a model without an adapter: merge the two and name the result")
        return self.model


def source(place: str, value: Any) -> Source:
    """A path with its revision; a folder is told from a Hub id by being there, as mergekit does it.

    Raises:
        WudiError: There is no path in it.
    """
    if isinstance(value, Mapping) and isinstance(value.get("path"), str):
        revision = value.get("revision")
        return Source(as_source(place, value["path"]), None if revision is None else str(revision))
    if not isinstance(value, str) or not value or value.count("@") > 1:
        raise WudiError(f"{place}: got {value!r}; takes the name of a model: PATH or PATH@REVISION")
    path, _, revision = value.partition("@")
    return Source(as_source(place, path), revision or None)


def as_source(place: str, path: str) -> str:
    """A path as a source of `params.yaml`, in which a folder starts with `./`, `/` or `~`.

    Raises:
        WudiError: It is a URL, or another source that mergekit does not have, or would break the line it is printed in.
    """
    if not path.isprintable():
        raise WudiError(f"{place}: got {path!r}; takes a name of characters that can be printed")
    if path.startswith((".", "/", "~")):
        return path
    if Path(path).is_dir():
        return f"./{path}"
    if SCHEME.match(path):
        raise WudiError(
            f"{place}: got {path!r}; takes a model of the Hub, OWNER/NAME or OWNER/NAME@REVISION, or a folder"
        )
    return path if HUB_ID.fullmatch(path) else f"./{path}"


def is_missing(found: Source) -> bool:
    """Whether a source is one name that is taken for a folder and is none: perhaps the Hub's, without an owner."""
    return found.source.startswith("./") and found.source.count("/") == 1 and not Path(found.source).exists()


def is_folder(found: Source) -> bool:
    """Whether a source is a folder of this machine."""
    return found.source.startswith((".", "/", "~"))
