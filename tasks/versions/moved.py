"""What moved from one version to the next: models, recipes, settings, code, libraries."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tasks import paths
from tasks.leaderboard.words import listing
from tasks.versions.tree import section
from tasks.versions.version import Version

Kind = Literal["base", "expert", "recipe", "merge", "evaluation", "code", "measured with"]
SHORT = 7
COMMIT = re.compile(r"[0-9a-f]{40}")
MEASURED = ("backend", "device", "dtype")
ABSENT, THERE = "–", "there"


@dataclass(frozen=True)
class Move:
    """One thing that is otherwise than before."""

    kind: Kind
    name: str
    """The expert, the recipe or its setting, the key of a section, the code or the library; empty for the base."""
    before: str
    """What it was; `–` where there was none."""
    after: str

    def __str__(self) -> str:
        """In words: `expert math 1a2b3c4 -> 9f8e7d6`."""
        what = " ".join(part for part in (self.kind, self.name) if part)
        if self.kind == "code":
            return what
        if self.after == ABSENT:
            return f"{what} removed"
        if self.before == ABSENT:
            new = self.kind in ("base", "expert") or self.after == THERE or self.after.startswith("{")
            return f"{what} added" if new else f"{what} set to {self.after}"
        return f"{what} {self.before} -> {self.after}"


def moved(before: Version, after: Version) -> tuple[Move, ...]:
    """What may have changed scores between two versions; the recipes, models and settings that came and went too."""
    return (
        *models(before, after),
        *recipes(before, after),
        *settings("merge", section(before.params, "merge"), section(after.params, "merge")),
        *settings("evaluation", section(before.params, "evaluation"), section(after.params, "evaluation")),
        *code(before, after),
        *measured(before, after),
    )


def in_words(moves: tuple[Move, ...]) -> str:
    """All that moved, in a phrase; `nothing` where nothing did."""
    return ", ".join(phrases(moves)) or "nothing"


def phrases(moves: tuple[Move, ...]) -> list[str]:
    """What moved, each in words; all code in one phrase."""
    changed = [move.name for move in moves if move.kind == "code"]
    parts = [str(move) for move in moves if move.kind != "code"]
    return [*parts, *([f"code in {listing(changed)}"] if changed else [])]


def models(before: Version, after: Version) -> Iterator[Move]:
    """The base and the experts whose data changed, came or went."""
    folders = {"": paths.BASE, **{name: paths.expert(name) for name in known(before, after, "experts")}}
    for name, folder in folders.items():
        one, other = identities(before, after, name, folder)
        if one != other:
            labels = [label(version, name, own) for version, own in ((before, one), (after, other))]
            if labels[0] == labels[1]:  # a pinned commit of which the files are others, or a commit and its branch
                labels = [shortened(one), shortened(other)]
            yield Move("expert" if name else "base", name, *labels)


def declared(version: Version, name: str) -> Mapping[str, Any]:
    """What params.yaml says of an expert, or of the base where there is no name; nothing where it does not name it."""
    return section(version.params, "experts", name) if name else section(version.params, "base")


def identities(before: Version, after: Version, name: str, folder: Path) -> tuple[str, str]:
    """What tells a model from another: the hashes of its files or, where one is not known, its sources."""
    models = [declared(version, name) for version in (before, after)]
    hashes = [version.lock.outputs.get(folder.as_posix()) for version in (before, after)]
    sources = [f"{model.get('source')} {model.get('revision')}" for model in models]
    found = zip(models, hashes if all(hashes) else sources, strict=True)
    one, other = (own if model and own else ABSENT for model, own in found)
    return one, other


def label(version: Version, name: str, identity: str) -> str:
    """How a person names a model: by the commit that params.yaml pins, else by the hash of its files or its source."""
    revision = str(declared(version, name).get("revision"))
    if identity != ABSENT and COMMIT.fullmatch(revision):
        return revision[:SHORT]
    return shortened(identity)


def shortened(identity: str) -> str:
    """The first letters of a hash; a source as it is."""
    return identity.removesuffix(" None") if " " in identity else identity[:SHORT]


def recipes(before: Version, after: Version) -> Iterator[Move]:
    """The recipes that came, went, or have other settings."""
    for name in known(before, after, "recipes"):
        one, other = (section(version.params, "recipes").get(name) for version in (before, after))
        if one is None or other is None:
            yield Move("recipe", name, *(ABSENT if found is None else THERE for found in (one, other)))
        else:
            yield from settings("recipe", one, other, name)


def settings(kind: Kind, before: Any, after: Any, path: str = "") -> Iterator[Move]:
    """The keys of a section that have other values, by their path."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in {**before, **after}:
            within = f"{path} {key}" if kind == "recipe" else f"{path}.{key}" if path else str(key)
            yield from settings(kind, before.get(key, ABSENT), after.get(key, ABSENT), within)
    elif before != after:
        yield Move(kind, path, text(before), text(after))


def code(before: Version, after: Version) -> Iterator[Move]:
    """The code that decides scores, by file or folder; nothing where one of the versions does not say."""
    one, other = before.lock.code, after.lock.code
    for path in sorted({*one, *other}) if one and other else ():
        if one.get(path) != other.get(path):
            yield Move("code", path, one.get(path, ABSENT)[:SHORT], other.get(path, ABSENT)[:SHORT])


def measured(before: Version, after: Version) -> Iterator[Move]:
    """With what the scores were measured: backends, devices, data types, versions of libraries."""
    one, other = (conditions(version) for version in (before, after))
    for name in {**one, **other} if one and other else ():
        if one.get(name) != other.get(name):
            yield Move("measured with", name, one.get(name, ABSENT), other.get(name, ABSENT))


def conditions(version: Version) -> dict[str, str]:
    """Each condition with the distinct values that it had."""
    found: dict[str, set[str]] = {}
    for row in version.cells.values():
        versions = row["versions"] if isinstance(row["versions"], dict) else {}
        values = {name: row[name] for name in MEASURED if isinstance(row[name], str)}
        for name, value in (values | versions).items():
            found.setdefault(name, set()).add(str(value))
    return {name: " and ".join(sorted(values)) for name, values in found.items()}


def known(before: Version, after: Version, name: str) -> list[str]:
    """The names that a section of either params.yaml has, in their order there."""
    return [str(key) for key in {**section(before.params, name), **section(after.params, name)}]


def text(value: Any) -> str:
    """A setting as it stands in the file."""
    return value if isinstance(value, str) else json.dumps(value, default=str)
