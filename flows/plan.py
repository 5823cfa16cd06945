"""What a run is about to do: the stages of the targets, and those among them that DVC would not run."""

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.graph import Stage, name_of, nodes_of, opened, select, stages_of


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The stages of a run, each after all those that it depends on."""

    root: Path
    stages: tuple[Stage, ...]
    unchanged: frozenset[str]
    """Stages that are up to date together with everything upstream of them: nothing can give them work."""
    remote: str | None
    """Where DVC's default remote is, if there is one."""


def read_plan(root: Path, targets: Sequence[str], *, force: bool) -> Plan:
    """What a run of the targets has to do; with `force` every stage has work.

    Raises:
        GraphError: DVC cannot read the graph, or a target is not in it.
    """
    from dvc.repo import lock_repo

    with opened(root) as repo, lock_repo(repo):
        nodes = nodes_of(repo)
        stages = select(stages_of(nodes), targets)
        names = {stage.name for stage in stages}
        unchanged = frozenset() if force else unchanged_among(nodes, names)
        return Plan(root=root.resolve(), stages=stages, unchanged=unchanged, remote=default_remote(repo.config))


def unchanged_among(nodes: Mapping[Any, Sequence[Any]], names: Collection[str]) -> frozenset[str]:
    """The stages of these names that `dvc repro` would pass by, without asking below one that it would not.

    DVC's own answer, in one process: a command for each stage costs more than a second.
    """
    from dvc.exceptions import DvcException

    found: dict[Any, bool] = {}

    def settled(node: Any) -> bool:
        if node not in found:
            try:
                found[node] = all(map(settled, nodes[node])) and not node.changed()
            except (DvcException, OSError):  # such as a path that another process has in work
                found[node] = False
        return found[node]

    return frozenset(name_of(node) for node in nodes if name_of(node) in names and settled(node))


def default_remote(config: Mapping[str, Any]) -> str | None:
    """The address of DVC's default remote, if there is one."""
    name = config["core"].get("remote")
    url = config["remote"].get(name, {}).get("url") if name else None
    return url if url is None or "://" in url else os.path.normpath(url)
