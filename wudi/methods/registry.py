"""Every method by its name: this package's own, and those that other packages add."""

from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points

from wudi.errors import WudiError
from wudi.methods import (
    covariance,
    dropping,
    filters,
    flow,
    masking,
    means,
    pcb,
    spherical,
    subspace,
    ties,
    wudi,
)
from wudi.methods.method import Method

GROUP = "wudi.methods"
FAMILIES = (means, spherical, ties, dropping, masking, pcb, subspace, covariance, wudi, flow, filters)


class Registry(Mapping[str, Method]):
    """The methods of this package, then those of the entry points of other packages, by name.

    Another package's code runs when its method is first asked for, so that a broken one is in the way of no other.
    """

    def __init__(self) -> None:
        self._methods = {method.name: method for family in FAMILIES for method in family.METHODS}
        self._entries: dict[str, list[EntryPoint]] = {}
        for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
            self._entries.setdefault(entry.name, []).append(entry)

    def __getitem__(self, name: str) -> Method:
        """The method of this name.

        Raises:
            KeyError: There is none.
            WudiError: Its entry point does not load, names no `Method` of its name, or takes a name that is taken.
        """
        entries = self._entries.get(name, [])
        if entries and (name in self._methods or len(entries) > 1):
            raise wrong(entries[-1], "the name is taken; uninstall or rename one of the two")
        return loaded(entries[0]) if entries else self._methods[name]

    def __contains__(self, name: object) -> bool:
        return name in self._methods or name in self._entries

    def __iter__(self) -> Iterator[str]:
        yield from self._methods
        yield from (name for name in self._entries if name not in self._methods)

    def __len__(self) -> int:
        return len(self._methods.keys() | self._entries.keys())


def loaded(entry: EntryPoint) -> Method:
    """The method that an entry point names; Python imports a module once, however often it is asked for."""
    try:
        method = entry.load()
    except Exception as error:  # another package's code may raise anything
        raise wrong(entry, f"does not load ({type(error).__name__}: {' '.join(str(error).split())})") from error
    if not isinstance(method, Method):
        raise wrong(entry, f"got {type(method).__name__}; takes a Method")
    if method.name != entry.name:
        raise wrong(entry, f"its Method is named {method.name}; give both one name")
    return method


def wrong(entry: EntryPoint, problem: str) -> WudiError:
    """The error for an entry point that cannot be used, with the package that it comes from."""
    package = f" of the package {entry.dist.name}" if entry.dist else ""
    return WudiError(f"entry point {entry.name} = {entry.value}{package} in {GROUP}: {problem}")


METHODS: Mapping[str, Method] = Registry()
