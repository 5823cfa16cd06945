"""DVC's experiments, as its own documentation teaches them, on this pipeline."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.small_experiment import changes, command, copied, ran, repro

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed"),
]

SCALE = "recipes.half.scale"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of which a sweep has run in the queue."""
    folder = copied(tmp_path_factory, tmp_path_factory.mktemp("experiments") / "project")
    command(folder, "dvc", "exp", "run", "--queue", "--name", "sweep", "--set-param", f"{SCALE}=choice(0.6,0.7)")
    output = command(folder, "dvc", "exp", "run", "--run-all")
    assert ran(output) == ["merge@half", "evaluate_recipe@half", "record"] * 2
    return folder


def experiments(project: Path) -> dict[float, str]:
    """The commit of each experiment, by the scale that it tried."""
    shown: list[dict[str, Any]] = json.loads(command(project, "dvc", "exp", "show", "--json"))
    (baseline,) = [one for one in shown if one["rev"] != "workspace"]
    found = {}
    for one in baseline["experiments"] or []:
        (revision,) = one["revs"]
        params = revision["data"]["params"]["params.yaml"]["data"]
        assert "half" in revision["data"]["metrics"]["results/metrics.json"]["data"]["score"]
        found[params["recipes"]["half"]["scale"]] = revision["rev"]
    return found


def test_a_sweep_runs_in_the_queue_and_leaves_the_workspace_alone(project: Path) -> None:
    assert sorted(experiments(project)) == [0.6, 0.7]
    assert not changes(project)
    assert repro(project) == []


def test_an_experiment_is_a_commit_that_compares_like_any_other(project: Path) -> None:
    sha = experiments(project)[0.7]
    touched = command(project, "git", "diff", "--name-only", "HEAD", sha).split()
    assert {"dvc.lock", "params.yaml", "results/leaderboard.csv"} <= set(touched)
    assert "results/metrics.json" in command(project, "git", "ls-tree", "-r", "--name-only", sha)
    assert "half" in command(project, "git", "show", f"{sha}:results/leaderboard.csv")
    assert SCALE in command(project, "dvc", "params", "diff", "HEAD", sha)
    command(project, "dvc", "metrics", "diff", "HEAD", sha)
    command(project, "dvc", "plots", "diff", "HEAD", sha, "--out", ".cache/plots")
    assert (project / ".cache" / "plots" / "index.html").is_file()


def test_what_the_queue_has_computed_is_not_computed_again(project: Path) -> None:
    output = command(project, "dvc", "exp", "run", "--name", "again", "--set-param", f"{SCALE}=0.6")
    assert ran(output) == []
    command(project, "git", "checkout", "--quiet", "--force", "HEAD")
    command(project, "dvc", "checkout", "--quiet", "--force")
    command(project, "dvc", "exp", "apply", experiments(project)[0.7])
    assert repro(project) == []
    assert json.loads((project / "merged/half/merge.json").read_text())["recipe"]["scale"] == 0.7
