"""An experiment as the text of a `params.yaml`: the base, the experts, recipes, and how they are merged."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """Where a checkpoint comes from: a Hub id, a folder, a URL; on the Hub, a branch, tag or commit of it."""

    source: str
    revision: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        """The source as the file has it, in which the revision is always given."""
        return {"source": self.source, "revision": self.revision}

    def __str__(self) -> str:
        return f"{self.source}@{self.revision}" if self.revision else self.source


@dataclass(frozen=True)
class Experiment:
    """What is merged, and how: all that a `params.yaml` says before evaluation."""

    base: Source
    experts: Mapping[str, Source]
    recipes: Mapping[str, Settings]
    """A method and its settings, by the recipe's name."""
    merge: Settings = field(default_factory=dict)

    def as_yaml(self, expert: Settings | None = None) -> str:
        """The sections of the file; each expert also has the keys of `expert`."""
        import yaml

        experts = {name: source.as_dict() | plain(expert or {}) for name, source in self.experts.items()}
        content = {"base": self.base.as_dict(), "experts": experts, "recipes": plain(self.recipes)}
        content |= {"merge": plain(self.merge)} if self.merge else {}
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def plain(settings: Settings) -> dict[str, Any]:
    """Settings of plain lists and mappings, as YAML writes them."""
    return {
        name: plain(value) if isinstance(value, Mapping) else list(value) if isinstance(value, list | tuple) else value
        for name, value in settings.items()
    }


def names(texts: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """A name for each text that a `params.yaml` takes: letters, digits, _ and -, each one once."""
    used, found = set(taken), []
    for text in texts:
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-_") or "expert"
        name, number = stem, 2
        while name in used:
            name, number = f"{stem}-{number}", number + 1
        used.add(name)
        found.append(name)
    return found
