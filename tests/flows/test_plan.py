"""What is shown as unchanged without a `dvc repro` of each stage is what `dvc repro` passes by."""

import logging
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from dvc.exceptions import ReproductionError
from dvc.repo import Repo

from flows.graph import select
from flows.plan import read_plan
from tests.flows.conftest import dvc

GRAPH = """
stages:
  a: {cmd: cp data a, deps: [data], outs: [a]}
  b: {cmd: cat a > b, deps: [a], params: [toy.yaml: [experts]], outs: [b]}
  c: {cmd: cat b > c, deps: [b], outs: [c]}
  frozen: {cmd: cat a > d, deps: [a], outs: [d], frozen: true}
  side: {cmd: echo > e, deps: [toy.txt], outs: [e: {cache: false}]}
"""
ALWAYS = """
  callback: {cmd: echo}
  always: {cmd: echo > f, outs: [f], always_changed: true}
  after: {cmd: cp f g, deps: [f], outs: [g]}
"""


@pytest.fixture(scope="module")
def done(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which every stage has run, on data that `dvc add` tracks."""
    root = tmp_path_factory.mktemp("done") / "workspace"
    shutil.copytree(empty, root)
    (root / "data").write_text("data\n")
    dvc(root, "add", "-q", "data")
    (root / "toy.yaml").write_text("experts: {x: 1}\n")
    (root / "dvc.yaml").write_text((GRAPH + ALWAYS).replace(", frozen: true", ""))
    dvc(root, "repro", "-q")
    (root / "dvc.yaml").write_text(GRAPH + ALWAYS)
    return root


def rewrite(path: Path, text: str) -> None:
    """Put another file in the place of one that may be a link into DVC's cache."""
    path.unlink()
    path.write_text(text)


CHANGES: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "nothing": (lambda root: root, {"data.dvc", "a", "b", "c", "frozen", "side"}),
    "command": (
        lambda root: rewrite(root / "dvc.yaml", GRAPH.replace("cat a > b", "cat a a > b")),
        {"data.dvc", "a", "frozen", "side"},
    ),
    "parameter": (
        lambda root: rewrite(root / "toy.yaml", "experts: {x: 2}\n"),
        {"data.dvc", "a", "frozen", "side"},
    ),
    "data": (lambda root: rewrite(root / "data", "other\n"), {"frozen", "side"}),
    "missing output": (lambda root: (root / "a").unlink(), {"data.dvc", "frozen", "side"}),
    "edited output": (lambda root: rewrite(root / "c", "mine\n"), {"data.dvc", "a", "b", "frozen", "side"}),
    "missing cache": (lambda root: shutil.rmtree(root / ".dvc" / "cache"), {"side"}),
    "no lock": (lambda root: (root / "dvc.lock").unlink(), {"data.dvc"}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_unchanged_is_what_dvc_repro_passes_by(
    change: str, done: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    root = tmp_path / "workspace"
    shutil.copytree(done, root)
    act, unchanged = CHANGES[change]
    act(root)
    plan = read_plan(root, (), force=False)
    monkeypatch.chdir(root)  # DVC names stages as seen from here
    with caplog.at_level(logging.INFO, logger="dvc"), Repo(str(root)) as repo:
        logging.getLogger("dvc").addHandler(caplog.handler)
        with suppress(ReproductionError):  # nothing is there for a stage to read that waits for one that was not run
            repo.reproduce(dry=True, on_error="keep-going")
        logging.getLogger("dvc").removeHandler(caplog.handler)
    passed = set(re.findall(r"'(.+)' didn't change, skipping", caplog.text))
    needs = {stage.name: {other.name for other in select(plan.stages, [stage.name])} for stage in plan.stages}
    assert plan.unchanged == {name for name in needs if needs[name] <= passed} == unchanged
    assert read_plan(root, (), force=True).unchanged == frozenset()
