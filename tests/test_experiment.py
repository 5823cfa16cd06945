"""The whole pipeline under DVC, for real, on a zoo that is hardly trained: what it leaves."""

import shutil
from pathlib import Path

import pytest

from tests.small_experiment import FIRST, PARAMS, SECOND, command, copied, repro, write_params

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the project, as it stands in the working tree, whose experiment has run."""
    return copied(tmp_path_factory, tmp_path_factory.mktemp("experiment") / "project")


def test_results_are_there(project: Path) -> None:
    tables = ("leaderboard.csv", "scores.csv", "comparisons.csv", "metrics.json")
    for name in (*tables, "report.html", "plots/means.png"):
        assert (project / "results" / name).stat().st_size > 0
    assert "scores/half.json" in command(project, "dvc", "metrics", "show")
    changed = command(project, "git", "diff", "--name-only", FIRST, SECOND).split()
    left = {"params.yaml", "dvc.lock", "results/leaderboard.csv", "results/metrics.json"}
    assert set(changed) == left, "an experiment leaves its lock and its tables alone"


def test_nothing_runs_twice(project: Path) -> None:
    assert repro(project) == []


def test_mistakes_are_told_before_any_work(project: Path) -> None:
    write_params(project, PARAMS | {"recipes": {"half": {"method": "wudy"}}})
    output = command(project, "dvc", "repro", check=False)
    assert "recipes.half.method: got 'wudy'; did you mean wudi?" in output
