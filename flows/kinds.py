"""How each kind of stage is run: the flow's whole configuration, which `meta:` of a stage in dvc.yaml overrides."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

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


def kind_of(stage: str) -> str:
    """The kind of a stage by its name: fetch_base and fetch@gsm8k are both of kind fetch."""
    group = stage.rpartition(":")[2].partition("@")[0]
    return next((kind for kind in KINDS if group == kind or group.startswith(f"{kind}_")), group)


def kind_settings(kind: str, meta: Mapping[str, Any]) -> Kind:
    """The settings of a kind, with what a stage's `meta:` says instead.

    Raises:
        ValueError: `hours` or `retries` is no number that it can be.
    """
    settings = KINDS.get(kind, OTHER)
    hours = read(meta, "hours", settings.limit / HOUR, is_positive, "a number above 0")
    retries = read(meta, "retries", settings.retries, is_count, "a whole number from 0 up")
    return replace(settings, limit=hours * HOUR, retries=retries)


def gpus_of(meta: Mapping[str, Any]) -> int:
    """How many GPUs a stage's `meta:` asks for; `gpu: true` is one.

    Raises:
        ValueError: `gpu` is no number of GPUs.
    """
    if isinstance(meta.get("gpu"), bool):
        return int(meta["gpu"])
    return int(read(meta, "gpu", 0, is_count, "a whole number from 0 up"))


def read(meta: Mapping[str, Any], key: str, default: Any, fits: Callable[[Any], bool], takes: str) -> Any:
    """One value of a stage's `meta:`."""
    value = meta.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not fits(value):
        raise ValueError(f"meta.{key} is {value!r}; takes {takes}")
    return value


def is_positive(number: float) -> bool:
    """Whether it is a number of hours."""
    return 0 < number < math.inf


def is_count(number: float) -> bool:
    """Whether it is a number of things."""
    return isinstance(number, int) and number >= 0
