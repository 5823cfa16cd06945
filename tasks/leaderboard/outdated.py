"""Scores that are no longer those of params.yaml.

Where a recipe was edited and its merge then failed, its scores are still those of the recipe as it was: DVC never came
to the evaluation. In a whole leaderboard DVC sees to it that this cannot be; a partial one asks dvc.lock, which says
with which settings each stage was last run, and on what.
"""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import paths
from tasks.leaderboard.load import stage

if TYPE_CHECKING:
    from tasks.params import Params

LOCK = Path("dvc.lock")
Stages = Mapping[str, Mapping[str, Any]]


def find_outdated(params: "Params") -> set[tuple[str, str]]:
    """The scores, (model, benchmark), that were made with other settings than params.yaml has now.

    Scores that dvc.lock does not know, such as those of a stage command typed by hand, are taken as they are.
    """
    stages = {name: entry for name, entry in read_yaml(LOCK).get("stages", {}).items() if named(name, params)}
    asked = read_yaml(paths.PARAMS)
    found = set()
    for model, kind in params.models().items():
        entry = stages.get(stage(kind, model), {})
        if wrote(entry, paths.scores(model)):
            now, then = (benchmarks_of(values) for values in (asked, settings(entry)))
            current = is_current(entry, stages, asked)
            found |= {(model, name) for name in now if not current or now[name] != then.get(name)}
    return found


def read_yaml(path: Path) -> dict[str, Any]:
    """A file as DVC reads it, to whom 1e-5 is a number; empty where there is none."""
    if not path.is_file():
        return {}
    from dvc.utils.serialize import load_yaml

    values: dict[str, Any] = load_yaml(path)
    return values or {}


def named(name: str, params: "Params") -> bool:
    """Whether a stage is none of an expert or a recipe that params.yaml no longer names."""
    _, at, key = name.partition("@")
    return not at or key in params.experts or key in params.recipes


def wrote(entry: Mapping[str, Any], path: Path) -> bool:
    """Whether a stage wrote the file as it is now."""
    recorded = next((out.get("md5") for out in entry.get("outs", ()) if out["path"] == path.as_posix()), None)
    return recorded is not None and path.is_file() and hashlib.md5(path.read_bytes()).hexdigest() == recorded


def is_current(entry: Mapping[str, Any], stages: Stages, asked: Mapping[str, Any]) -> bool:
    """Whether a stage was last run with the settings of params.yaml on what the stages before it wrote last.

    Which benchmarks it evaluated does not count: each has its own score.
    """
    then = {key: apart_from_benchmarks(value) for key, value in settings(entry).items()}
    if then != {key: apart_from_benchmarks(value_at(asked, key)) for key in then}:
        return False
    return all(
        current and is_current(other, stages, asked)
        for dep in entry.get("deps", ())
        for other, current in upstream(dep, stages)
    )


def upstream(dep: Mapping[str, Any], stages: Stages) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """The stages that write a dependency or a part of it, and whether what they wrote last is what was read."""
    for entry in stages.values():
        for out in entry.get("outs", ()):
            if out["path"] == dep["path"]:
                yield entry, out.get("md5") == dep.get("md5")
            elif out["path"].startswith(f"{dep['path']}/"):
                yield entry, True


def settings(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of params.yaml that a stage was last run with."""
    recorded: Mapping[str, Any] = entry.get("params", {}).get(str(paths.PARAMS), {})
    return recorded


def benchmarks_of(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings of each benchmark."""
    benchmarks: Mapping[str, Any] = values.get("evaluation", {}).get("benchmarks", {})
    return benchmarks


def apart_from_benchmarks(value: Any) -> Any:
    """A section of params.yaml without the benchmarks in it: what is measured, and which expert is the yardstick."""
    if not isinstance(value, Mapping):
        return value
    return {key: apart_from_benchmarks(part) for key, part in value.items() if key != "benchmarks"}


def value_at(values: Any, key: str) -> Any:
    """What stands under a key with dots between its parts, None where nothing does."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, Mapping) else None
    return values
