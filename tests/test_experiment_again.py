"""The whole pipeline under DVC, for real, after each kind of change: what runs again, and what does not."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.small_experiment import ENVIRONMENT, copied, repro

pytestmark = [pytest.mark.long, pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")]

RECIPES = {"half": {"method": "task_arithmetic", "scale": 0.5}, "wudi": {"method": "wudi", "iterations": 5}}


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = folder / "params.yaml"
    values = yaml.safe_load(file.read_text())
    change(values)
    file.write_text(yaml.safe_dump(values, sort_keys=False))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the project, as it stands in the working tree, whose experiment has run, now with two recipes."""
    folder = copied(tmp_path_factory, tmp_path_factory.mktemp("experiment") / "project")
    edit(folder, lambda values: values.update(recipes=RECIPES))
    assert repro(folder) == ["merge@wudi", "evaluate_recipe@wudi", "record"]
    return folder


def lock(folder: Path) -> dict[str, Any]:
    """The stages of dvc.lock, without the report's hash: it holds seconds and the date."""
    stages: dict[str, Any] = yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    outputs = stages["record"]["outs"]
    assert "results/report.html" in [output["path"] for output in outputs]
    stages["record"]["outs"] = [output for output in outputs if output["path"] != "results/report.html"]
    return stages


def test_forced_runs_leave_the_same_lock(project: Path) -> None:
    before = lock(project)
    assert len(repro(project, "--force", "evaluate_recipe@wudi")) == 5
    assert lock(project) == before


def test_a_changed_recipe_runs_its_own_stages(project: Path) -> None:
    edit(project, lambda values: values["recipes"]["half"].update(scale=0.3))
    assert repro(project) == ["merge@half", "evaluate_recipe@half", "record"]


def test_an_added_recipe_runs_three_stages_and_a_removed_one_the_record(project: Path) -> None:
    before = lock(project)
    edit(project, lambda values: values["recipes"].update(mean={"method": "average"}))
    assert repro(project) == ["merge@mean", "evaluate_recipe@mean", "record"]
    edit(project, lambda values: values["recipes"].pop("mean"))
    assert repro(project) == ["record"]
    assert not (project / "merged" / "mean").exists()
    assert lock(project)["record"] == before["record"]


def test_a_change_in_wudi_merges_anew_but_evaluates_nothing_that_stayed_the_same(project: Path) -> None:
    with (project / "wudi" / "methods" / "filters.py").open("a") as stream:
        stream.write("# a remark\n")
    expected = {"task_vectors@gsm8k", "similarity", "merge@half", "merge@wudi"}
    assert set(repro(project)) == expected


@pytest.mark.parametrize(
    ("iterations", "interrupted", "still_to_run"),
    [
        (6, "> python -m tasks.merge wudi", ["merge@wudi", "evaluate_recipe@wudi", "record"]),
        (7, "> python -m tasks.evaluate recipe wudi", ["evaluate_recipe@wudi", "record"]),
    ],
)
def test_ctrl_c_and_on_again(iterations: int, interrupted: str, still_to_run: list[str], project: Path) -> None:
    edit(project, lambda values: values["recipes"]["wudi"].update(iterations=iterations))
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro"],
        cwd=project,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    while process.stdout.readline().rstrip() != interrupted:
        assert process.poll() is None
    time.sleep(1.0)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    output = process.stdout.read()
    assert process.wait() != 0
    assert "Traceback" not in output, output
    assert repro(project) == still_to_run
