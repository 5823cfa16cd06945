"""Which tensors a recipe's method merges; `rest` decides about the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from wudi.errors import WudiError
from wudi.role import Role
from wudi.settings import EverywhereSettings, SettingError, Settings
from wudi.tensor_info import TensorInfo

KINDS = ("include", "exclude")


@dataclass(frozen=True)
class Selection:
    """The tensors that the method merges, of how many, and how many each pattern of the recipe matched."""

    tensors: frozenset[str]
    matched: Mapping[str, int]
    total: int
    rest: str
    narrowed: bool
    """Whether the recipe, and not the method, says that some tensors are not merged."""

    def lines(self) -> list[str]:
        """What the patterns matched and what is left to `rest`, in words; nothing where the recipe narrows nothing."""
        if not self.narrowed:
            return []
        counts = [f"{pattern}: {count} of {self.total} tensors" for pattern, count in self.matched.items()]
        others = "" if len(self.tensors) == self.total else f", the others get {self.rest}"
        return [*counts, f"the method merges {len(self.tensors)} of {self.total} tensors{others}"]


def select(
    infos: Mapping[str, TensorInfo], roles: Mapping[str, Role], settings: Settings, copies: Mapping[str, str]
) -> Selection:
    """Linear weights inside blocks, or every tensor where `rest` is `method`; then `include` and `exclude`.

    With `include` the method merges what its patterns match instead, embeddings and heads too, as far as it can: a
    method for linear weights takes matrices alone. `copies` are merged as the tensor that each is a copy of, so a
    pattern that matches one of the two holds for both.

    Raises:
        WudiError: A pattern matches no tensor that can be merged, or nothing is left for the method.
    """
    names = [name for name, info in infos.items() if info.floating and info.elements]
    included, excluded = ({p: matching(p, names, kind) for p in getattr(settings, kind)} for kind in KINDS)
    takes_all = isinstance(settings, EverywhereSettings)
    chosen = {name for name in names if settings.rest == "method" or roles[name].kind == "linear"}
    if included:
        chosen = {name for name in set().union(*included.values()) if takes_all or is_matrix(name, infos, roles)}
    chosen = {copies.get(name, name) for name in chosen}
    chosen -= {copies.get(name, name) for name in set().union(*excluded.values())}
    if not chosen:
        raise WudiError(
            "include and exclude leave no tensor to the method, which takes "
            f"{'any' if takes_all else 'matrices alone'}; widen one or narrow the other"
            if included or excluded
            else "no tensor of the base is known as a linear weight inside a block, and the method merges no others; "
            "name some with include, or leave rest to the method where it takes every tensor"
        )
    counts = {
        f"{kind} {pattern}": len(matched)
        for kind, patterns in zip(KINDS, (included, excluded), strict=True)
        for pattern, matched in patterns.items()
    }
    narrowed = bool(counts) or (takes_all and settings.rest != "method")
    return Selection(frozenset(chosen), counts, len(set(names) - set(copies)), settings.rest, narrowed)


def matching(pattern: str, names: list[str], kind: str) -> list[str]:
    """The names that a shell pattern matches, as a whole and with case."""
    found = [name for name in names if fnmatchcase(name, pattern)]
    if not found:
        raise SettingError(
            kind,
            f"{pattern!r} matches no tensor; a pattern matches a whole name, with * for any part of it, "
            f"and a name here is {names[len(names) // 2]}",
        )
    return found


def is_matrix(name: str, infos: Mapping[str, TensorInfo], roles: Mapping[str, Role]) -> bool:
    """Whether a method for linear weights can merge a tensor: a matrix, or a stack of linear weights."""
    return len(infos[name].shape) == 2 or roles[name].kind == "linear"
