"""dvc.yaml agrees with the code: commands exist, code dependencies are complete, parameters are known."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.params import Params
from tests.conftest import ROOT

# What parses params.yaml, names paths, prints or reports seconds decides nothing that a stage writes.
DECIDES_NOTHING = {
    "tasks/__init__.py",
    "tasks/params.py",
    "tasks/strict.py",
    "tasks/paths.py",
    "tasks/console.py",
    "tasks/stage.py",
    "tasks/timing.py",
    "tasks/orphans.py",
    "tasks/preflight.py",
    "wudi/commands/arguments.py",
    "wudi/errors.py",
    "wudi/folder.py",  # merges list all of wudi/; a fetch only asks it which files are weights
    "wudi/preflight/__init__.py",
    "wudi/preflight/disk.py",
    "wudi/progress.py",
    "wudi/settings.py",
}

GRAPH: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())
STAGES: dict[str, dict[str, Any]] = {name: stage.get("do", stage) for name, stage in GRAPH["stages"].items()}


def files_of(module: str) -> Iterator[Path]:
    """The file of a project module, if it is one."""
    path = ROOT / Path(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            yield file


def imported(file: Path) -> Iterator[Path]:
    """The project's files that a file imports, at its top or later."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from files_of(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from files_of(node.module)
            for alias in node.names:
                yield from files_of(f"{node.module}.{alias.name}")


def closure(file: Path) -> set[str]:
    """All files of the project that decide what a stage's command writes."""
    seen: set[str] = set()
    waiting = [file]
    while waiting:
        name = str(waiting.pop().relative_to(ROOT))
        if name in seen or name in DECIDES_NOTHING:
            continue
        seen.add(name)
        waiting.extend(imported(ROOT / name))
    return seen


@pytest.mark.parametrize("stage", STAGES)
def test_code_dependencies_are_complete_and_narrow(stage: str) -> None:
    module = STAGES[stage]["cmd"].split()[2]
    code = [dep for dep in STAGES[stage]["deps"] if dep.startswith(("tasks/", "wudi")) and "$" not in dep]
    needed = closure(ROOT / Path(*module.split(".")).with_suffix(".py"))
    for file in needed:
        assert any(file == dep or file.startswith(f"{dep}/") for dep in code), f"{stage} runs {file} unlisted"
    for dep in code:
        assert (ROOT / dep).exists()
        if dep != "tasks/zoo":  # its tasks are loaded by lm-eval, by path
            assert any(file == dep or file.startswith(f"{dep}/") for file in needed), f"{stage} lists {dep} in vain"


def test_evaluations_do_not_depend_on_the_mathematics() -> None:
    for stage in ("evaluate_base", "evaluate_expert", "evaluate_recipe"):
        assert not [dep for dep in STAGES[stage]["deps"] if dep.startswith("wudi")]


@pytest.mark.parametrize("stage", STAGES)
def test_stages_are_described_and_their_parameters_known(stage: str) -> None:
    assert len(STAGES[stage]["desc"]) > 20
    for parameter in STAGES[stage].get("params", []):
        assert parameter.split(".")[0] in Params.model_fields


def test_merges_and_evaluations_take_the_gpu() -> None:
    assert {stage for stage in STAGES if STAGES[stage].get("meta", {}).get("gpu")} == {
        "merge",
        "evaluate_base",
        "evaluate_expert",
        "evaluate_recipe",
    }
