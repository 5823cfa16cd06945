"""The pipeline's graph, read from DVC: dvc.yaml is the only place where it is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from flows.kinds import kind_of
from wudi.errors import WudiError
from wudi.settings import nearest


class GraphError(WudiError):
    """There is no graph to run: dvc.yaml or what it reads cannot be used, or a target is not in it."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of dvc.yaml, as much of it as is needed to run it at its time."""

    name: str
    kind: str
    upstream: tuple[str, ...]
    """The stages whose outputs it reads, sorted."""
    gpu: bool
    """Whether it takes a GPU where there is one: `meta: {gpu: 1}` in dvc.yaml."""

    @property
    def group(self) -> str:
        """The name before the @: what the stages of one foreach have in common."""
        return self.name.partition("@")[0]


def read_graph(root: Path) -> tuple[Stage, ...]:
    """Every stage below the folder `root`, each after all those that it depends on.

    Raises:
        GraphError: There is no DVC repository, or DVC cannot make a graph of dvc.yaml.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    if not (root / "dvc.yaml").is_file():
        raise GraphError(f"{root / 'dvc.yaml'}: not found; run this in the project's root folder")
    try:
        with Repo(str(root)) as repo:
            graph = repo.index.graph
            stages = {name_of(node): read_stage(node, graph) for node in graph if node.cmd}
    except DvcException as error:
        hint = "" if (root / "params.yaml").exists() else f"; there is no {root / 'params.yaml'}"
        raise GraphError(f"DVC cannot read the graph: {reasons(error)}{hint}") from error
    order = TopologicalSorter({name: stages[name].upstream for name in sorted(stages)})
    return tuple(stages[name] for name in order.static_order())


def select(stages: Sequence[Stage], targets: Sequence[str]) -> tuple[Stage, ...]:
    """The targets with everything upstream of them, in the order of `stages`.

    A target is a stage, or the name that the stages of one foreach share. Without targets: every stage of the
    root's dvc.yaml, as `dvc repro` does.

    Raises:
        GraphError: A target is no stage.
    """
    by_name = {stage.name: stage for stage in stages}
    wanted = [] if targets else [stage.name for stage in stages if ":" not in stage.name]
    for target in targets:
        found = [stage.name for stage in stages if target in (stage.name, stage.group)]
        if not found:
            raise GraphError(f"{target}: no such stage; {nearest(target, list(by_name))}")
        wanted += found
    closure: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in closure:
            closure.add(name)
            wanted += by_name[name].upstream
    return tuple(stage for stage in stages if stage.name in closure)


def read_stage(node: Any, graph: Any) -> Stage:
    """One node of DVC's graph; its edges lead to what it depends on. Files added with `dvc add` need no run."""
    name = name_of(node)
    upstream = sorted(name_of(other) for other in graph.successors(node) if other.cmd)
    return Stage(name=name, kind=kind_of(name), upstream=tuple(upstream), gpu=bool((node.meta or {}).get("gpu")))


def name_of(node: Any) -> str:
    """The stage's address seen from the root; DVC's own `addressing` is relative to the current folder."""
    path = node.path_in_repo.replace("\\", "/")
    return node.name if path == "dvc.yaml" else f"{path}:{getattr(node, 'name', None) or ''}".rstrip(":")


def reasons(error: BaseException) -> str:
    """An error of DVC with its causes, each said once, on one line."""
    texts: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        text = " ".join(str(cause).split())
        if text and not any(text in said for said in texts):
            texts.append(text)
        cause = cause.__cause__
    return ": ".join(texts)
