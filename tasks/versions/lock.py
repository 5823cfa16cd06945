"""dvc.lock: which content each stage wrote, and which code decided the scores."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import yaml

from tasks import paths

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Lock:
    """What dvc.lock says; empty where there is none."""

    outputs: Mapping[str, str] = field(default_factory=dict)
    """Path -> md5 of what the stages wrote."""
    code: Mapping[str, str] = field(default_factory=dict)
    """Path -> md5 of the code that decided what is in scores/: no stage's output, and upstream of a score."""


@lru_cache(maxsize=128)
def parse_lock(content: bytes) -> Lock:
    """A dvc.lock as DVC writes it.

    Raises:
        ValueError: It is no YAML, or none of DVC's.
    """
    try:
        stages: dict[str, Any] = (yaml.load(content, Loader) or {}).get("stages") or {}
        outputs = {
            str(out["path"]): str(out.get("md5", "")) for stage in stages.values() for out in listed(stage, "outs")
        }
        code: dict[str, set[str]] = {}
        for stage in upstream_of_scores(stages):
            for dep in listed(stage, "deps"):
                if not any(related(dep["path"], out) for out in outputs):
                    code.setdefault(str(dep["path"]), set()).add(str(dep.get("md5", "")))
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise ValueError(" ".join(str(error).split())) from None
    # stages that ran before and after an edit name two contents of one file
    return Lock(outputs, {path: " ".join(sorted(contents)) for path, contents in sorted(code.items())})


def listed(stage: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The dependencies or outputs of a stage, if it has any."""
    return stage.get(key) or []


def upstream_of_scores(stages: Mapping[str, Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """The stages that write scores, and those that write what these read."""
    wanted, waiting = set(), [str(paths.SCORES)]
    while waiting:
        path = waiting.pop()
        for name, stage in stages.items():
            if name not in wanted and any(related(path, out["path"]) for out in listed(stage, "outs")):
                wanted.add(name)
                waiting += [str(dep["path"]) for dep in listed(stage, "deps")]
                yield stage


def related(one: str, other: str) -> bool:
    """Whether two paths are the same or one lies within the other."""
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")
