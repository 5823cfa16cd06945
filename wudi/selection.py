"""Which tensors a recipe's method merges; `rest` decides about the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from wudi.checkpoint import TensorInfo
from wudi.errors import WudiError
from wudi.role import Role
from wudi.settings import Settings


@dataclass(frozen=True)
class Selection:
    """The tensors that the method merges, and how many of the model's each pattern of the recipe matched."""

    tensors: frozenset[str]
    matched: Mapping[str, int]

    def lines(self) -> list[str]:
        """What the patterns matched, in words."""
        return [f"{pattern}: {count} tensors" for pattern, count in self.matched.items()]


def select(infos: Mapping[str, TensorInfo], roles: Mapping[str, Role], settings: Settings) -> Selection:
    """Linear weights inside blocks, or every tensor where `rest` is `method`; then `include` and `exclude`.

    With `include` the method merges what its patterns match instead, embeddings and heads too, as far as it can: a
    method for linear weights takes matrices alone.

    Raises:
        WudiError: A pattern matches no tensor that can be merged, or nothing is left for the method.
    """
    names = [name for name, info in infos.items() if info.floating]
    matched = {
        f"{kind} {pattern}": matching(pattern, names, kind)
        for kind, patterns in (("include", settings.include), ("exclude", settings.exclude))
        for pattern in patterns
    }
    everywhere = settings.rest == "method"
    chosen = {name for name in names if everywhere or roles[name].kind == "linear"}
    if settings.include:
        included = {name for key, found in matched.items() if key.startswith("include ") for name in found}
        chosen = {name for name in included if everywhere or is_matrix(name, infos, roles)}
    chosen -= {name for key, found in matched.items() if key.startswith("exclude ") for name in found}
    if not chosen and (settings.include or settings.exclude):
        raise WudiError("include and exclude leave no tensor to the method; widen one or narrow the other")
    return Selection(frozenset(chosen), {key: len(found) for key, found in matched.items()})


def matching(pattern: str, names: list[str], kind: str) -> list[str]:
    """The names that a shell pattern matches, as a whole and with case."""
    found = [name for name in names if fnmatchcase(name, pattern)]
    if not found:
        raise WudiError(
            f"{kind}: {pattern!r} matches no tensor; a pattern matches a whole name, with * for any part of it, "
            f"and a name here is {names[len(names) // 2]}"
        )
    return found


def is_matrix(name: str, infos: Mapping[str, TensorInfo], roles: Mapping[str, Role]) -> bool:
    """Whether a method for linear weights can merge a tensor: a matrix, or a stack of linear weights."""
    return len(infos[name].shape) == 2 or roles[name].kind == "linear"
