"""How each kind of stage is run: the flow's whole configuration."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a stage may cost, and whether another try can help."""

    limit: float
    """Seconds after which an attempt is stopped and counts as failed."""
    retries: int = 0
    """Further attempts after a failure; only where the cause may pass by itself, such as the network."""
    backoff: float = 10.0
    """Seconds before the first retry; doubled for each one after it."""

    def delay(self, attempt: int) -> float:
        """Seconds to wait before an attempt, counted from 1."""
        return 0.0 if attempt == 1 else self.backoff * 2.0 ** (attempt - 2)


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "fetch": Kind(limit=12 * HOUR, retries=3),
        "task_vectors": Kind(limit=4 * HOUR),
        "similarity": Kind(limit=4 * HOUR),
        "merge": Kind(limit=12 * HOUR),
        "evaluate": Kind(limit=24 * HOUR),
        "record": Kind(limit=1 * HOUR),
    }
)
OTHER = Kind(limit=24 * HOUR)
"""For a stage whose kind is not in the table."""


def kind_settings(kind: str) -> Kind:
    """The settings of a kind."""
    return KINDS.get(kind, OTHER)


def kind_of(stage: str) -> str:
    """The kind of a stage by its name: fetch_base and fetch@gsm8k are both of kind fetch."""
    group = stage.rpartition(":")[2].partition("@")[0]
    return next((kind for kind in KINDS if group == kind or group.startswith(f"{kind}_")), group)
