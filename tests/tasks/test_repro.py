"""`python -m tasks.repro`: DVC's work with a line a stage, and the table at the end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.tasks.small_project import make_project

GRAPH = """
stages:
  greet: {cmd: echo hello, deps: [greeting]}
  record: {cmd: python -m tasks.record, deps: [scores, greeting], metrics: [results/metrics.json: {cache: false}]}
"""


def repro(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tasks.repro", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    make_project(folder)
    (folder / "dvc.yaml").write_text(GRAPH)
    (folder / "greeting").touch()
    for words in (["git", "init", "--quiet"], [sys.executable, "-m", "dvc", "init", "--quiet"]):
        subprocess.run(words, cwd=folder, check=True)
    return folder


def test_a_line_a_stage_and_the_table_at_the_end(project: Path) -> None:
    first = repro(project)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("hello\n")
    assert "Running stage" not in first.stdout
    assert first.stdout.index("Report: results/report.html") < first.stdout.index("More in results/report.html")
    assert "\x1b" not in first.stdout + first.stderr
    warnings = [line for line in (first.stdout + first.stderr).splitlines() if line.startswith("warning: ")]
    assert len(warnings) == len(set(warnings)) > 0
    assert "dvc push" not in first.stdout
    again = repro(project)
    assert "up to date" in again.stdout
    assert "More in results/report.html" in again.stdout


def test_a_stage_that_fails_and_everything_that_dvc_says(project: Path) -> None:
    scores = project / "scores" / "wudi.json"
    scores.rename(project / "aside.json")
    (project / "greeting").write_text("again")
    failed = repro(project, "--verbose")
    (project / "aside.json").rename(scores)
    assert failed.returncode != 0
    assert "Running stage 'greet'" in failed.stdout
    assert "failed to reproduce 'record'" in failed.stderr
    assert failed.stderr.rstrip().endswith("`python -m tasks.leaderboard --partial` shows what is there.")
    assert "More in" not in failed.stdout
    one = repro(project, "greet")
    assert one.returncode == 0
    assert "More in" not in one.stdout


def test_mistakes_are_told_before_a_stage_runs(project: Path) -> None:
    (project / "greeting").write_text("and again")
    wrong = repro(project, "recrod")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == "error: recrod: no such stage; did you mean record?\n"
    good = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(good.replace("zoo:base", "zoo:bass"))
    broken = repro(project)
    (project / "params.yaml").write_text(good)
    assert (broken.returncode, broken.stdout) == (1, "")
    assert broken.stderr.startswith("error: params.yaml: base.source: ")


def test_a_folder_that_is_no_project(project: Path, tmp_path: Path) -> None:
    told = repro(tmp_path)
    assert told.returncode == 1
    assert told.stderr == "error: dvc.yaml: not found; run this in the project's root folder\n"
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).write_bytes((project / name).read_bytes())
    told = repro(tmp_path)
    assert told.returncode == 1
    assert told.stderr.startswith("error: .: in no DVC repository")
    assert len(told.stderr.splitlines()) == 1


def test_a_mistake_in_params_is_told_before_dvc_reads_its_graph(project: Path) -> None:
    params = project / "params.yaml"
    sound = params.read_text()
    params.write_text(sound.replace("recipes:", "recipe:"))
    told = repro(project)
    params.write_text(sound)
    assert told.returncode == 1
    assert told.stderr.startswith("error: params.yaml: ")
    assert "ERROR" not in told.stderr


@pytest.mark.parametrize("module", ["wudi", "tasks.doctor", "flows.pipeline"])
def test_a_python_that_lacks_the_project(module: str) -> None:
    words = [sys.executable, "-S", "-m", module, "inspect", "model"]  # -S: without what is installed
    told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert "make setup" in told.stderr
    assert "Traceback" not in told.stderr
