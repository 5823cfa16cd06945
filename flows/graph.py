"""The pipeline's graph, read from DVC: dvc.yaml is the only place where it is written."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from flows.kinds import Kind, gpus_of, kind_of, kind_settings
from wudi.errors import WudiError
from wudi.settings import nearest


class GraphError(WudiError):
    """There is no graph to run: dvc.yaml or what it reads cannot be used, or a target is not in it."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of DVC's graph, as much of it as is needed to run it at its time."""

    name: str
    """As `dvc repro` takes it in the root folder: NAME, FOLDER/dvc.yaml:NAME, or the .dvc file of tracked data."""
    file: str
    """Where it is written, seen from the root."""
    kind: str
    upstream: tuple[str, ...]
    """The stages whose outputs it reads, sorted."""
    settings: Kind
    gpus: int = 0
    """How many GPUs it takes where there are any: `meta: {gpu: 1}` in dvc.yaml."""
    pushed: tuple[str, ...] = ()
    """The outputs that `dvc push` sends to a remote, as dvc.lock spells them."""

    @property
    def group(self) -> str:
        """The name before the @: what the stages of one foreach have in common."""
        return self.name.partition("@")[0]


def read_graph(root: Path) -> tuple[Stage, ...]:
    """Every stage below the folder `root`, each after all those that it depends on.

    Raises:
        GraphError: There is no DVC repository, or DVC cannot make a graph of dvc.yaml.
    """
    with opened(root) as repo:
        return stages_of(nodes_of(repo))


def check_root(root: Path) -> None:
    """Raise a `GraphError` when the folder is not the root of a DVC repository with a dvc.yaml."""
    if not (root / "dvc.yaml").is_file():
        raise GraphError(f"{root / 'dvc.yaml'}: not found; run this in the project's root folder")
    if not (root / ".dvc").is_dir():
        raise GraphError(f"{root / '.dvc'}: not found; make the folder a DVC repository with `dvc init`")


@contextmanager
def opened(root: Path) -> Iterator[Any]:
    """DVC's view of the folder `root`.

    Raises:
        GraphError: There is no DVC repository, or DVC cannot do what is asked of it.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    check_root(root)
    try:
        with Repo(str(root), _wait_for_lock=True) as repo:
            yield repo
    except DvcException as error:
        said, params = reasons(error), root / "params.yaml"
        hint = f"; there is no {params}" if "Could not find '" in said and not params.exists() else ""
        raise GraphError(f"DVC cannot read the graph: {said}{hint}") from error


def nodes_of(repo: Any) -> dict[Any, list[Any]]:
    """DVC's stages, each with those that it depends on, as `dvc repro` sees them: a frozen stage waits for none."""
    from dvc.repo.reproduce import get_active_graph

    graph = get_active_graph(repo.index.graph)
    return {node: list(graph.successors(node)) for node in graph}


def stages_of(nodes: Mapping[Any, Sequence[Any]]) -> tuple[Stage, ...]:
    """DVC's stages as this flow knows them, each after all those that it depends on."""
    stages = {name_of(node): read_stage(node, upstream) for node, upstream in nodes.items()}
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
    wanted = [] if targets else [stage.name for stage in stages if stage.file == "dvc.yaml"]
    for target in targets:
        found = [stage.name for stage in stages if target in (stage.name, stage.group)]
        if not found:
            known = dict.fromkeys([*(stage.group for stage in stages), *by_name])
            raise GraphError(f"{target}: no such stage; {nearest(target, list(known))}")
        wanted += found
    closure: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in closure:
            closure.add(name)
            wanted += by_name[name].upstream
    return tuple(stage for stage in stages if stage.name in closure)


def read_stage(node: Any, upstream: Sequence[Any]) -> Stage:
    """One node of DVC's graph."""
    name = name_of(node)
    kind = "fetch" if node.is_import else kind_of(name)
    meta = node.meta if isinstance(node.meta, Mapping) else {}
    try:
        return Stage(
            name=name,
            file=file_of(node),
            kind=kind,
            upstream=tuple(sorted(name_of(other) for other in upstream)),
            settings=kind_settings(kind, meta),
            gpus=gpus_of(meta),
            pushed=tuple(out.def_path for out in node.outs if out.use_cache and out.can_push),
        )
    except ValueError as error:
        raise GraphError(f"stage {name}: {error}") from None


def name_of(node: Any) -> str:
    """The stage's address seen from the root; DVC's own `addressing` is relative to the current folder."""
    file = file_of(node)
    return node.name if file == "dvc.yaml" else f"{file}:{getattr(node, 'name', None) or ''}".rstrip(":")


def file_of(node: Any) -> str:
    """The file of a stage, seen from the root."""
    return str(node.path_in_repo).replace("\\", "/")


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
