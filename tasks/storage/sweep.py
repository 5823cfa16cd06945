"""Objects that nothing needs: found with their sizes, and deleted."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.storage.named import Named
from tasks.storage.repository import reasons
from wudi.errors import WudiError
from wudi.progress import Track, silent

if TYPE_CHECKING:
    from dvc_data.hashfile.db import HashFileDB

AT_ONCE = 200
"""Objects in a request."""


@dataclass(frozen=True)
class Unneeded:
    """Objects that can go, with their bytes."""

    rebuilt: Mapping[str, int]
    """Of merged models and task vectors."""
    unnamed: Mapping[str, int]
    """Of no revision."""

    @property
    def hashes(self) -> list[str]:
        """All of them, lists of folders first: what is left of a folder after an interruption is then no folder."""
        return sorted([*self.rebuilt, *self.unnamed], key=lambda value: (not value.endswith(".dir"), value))

    @property
    def bytes(self) -> int:
        """What deleting them frees."""
        return sum(self.rebuilt.values()) + sum(self.unnamed.values())


def unneeded(place: "HashFileDB", named: Named) -> Unneeded:
    """What of a place's objects no revision needs."""
    going = [value for value in place.all() if value not in named.kept]
    sizes = sizes_of(place, going)
    return Unneeded(
        {value: size for value, size in sizes.items() if value in named.rebuilt},
        {value: size for value, size in sizes.items() if value not in named.rebuilt},
    )


def sizes_of(place: "HashFileDB", hashes: Sequence[str]) -> dict[str, int]:
    """The bytes of objects."""
    sizes = place.fs.sizes([place.oid_to_path(value) for value in hashes]) if hashes else []
    return {value: size or 0 for value, size in zip(hashes, sizes, strict=True)}


def delete(place: "HashFileDB", hashes: Sequence[str], track: Track = silent) -> None:
    """Delete objects of a place, in their order.

    Raises:
        WudiError: Some could not be deleted.
    """
    from dvc_data.hashfile.db import get_index

    starts = range(0, len(hashes), AT_ONCE)
    try:
        for start in track(starts, "deleting"):
            place.fs.remove([place.oid_to_path(value) for value in hashes[start : start + AT_ONCE]])
    except Exception as error:  # each store has errors of its own
        raise WudiError(f"{place.path}: not all could be deleted ({reasons(error)}); run it again") from None
    finally:
        with closing(get_index(place)) as remembered:  # by DVC of a remote, so as not to ask it again
            remembered.clear()
