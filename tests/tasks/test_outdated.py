"""Scores of another time, and what DVC makes of a partial leaderboard: a real graph, whose stages copy files."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks import paths
from tasks.leaderboard import gather_files, write_results
from tasks.leaderboard.outdated import find_outdated
from tasks.params import Params, load_params
from tests.conftest import ROOT
from tests.tasks.small_project import ANSWERS, make_project
from tests.tasks.versions_project import run

MADE = Path("made")
COPY = "cp made/scores/{0}.json scores/ && cp -r made/samples/{0} samples/"
KEY = "${key}"


def evaluation(name: str, **more: Any) -> dict[str, Any]:
    """A stage that evaluates a model."""
    outs = {"metrics": [f"scores/{name}.json"], "outs": [f"samples/{name}"]}
    return {"cmd": COPY.format(name), "params": ["evaluation"], **outs, **more}


GRAPH = {
    "merge": {
        "foreach": "${recipes}",
        "do": {
            "cmd": f"cp -r made/merged/{KEY} merged/",
            "params": ["experts", f"recipes.{KEY}"],
            "outs": [f"merged/{KEY}"],
        },
    },
    "evaluate_base": evaluation("base"),
    "evaluate_expert": {"foreach": "${experts}", "do": evaluation(KEY)},
    "evaluate_recipe": {"foreach": "${recipes}", "do": evaluation(KEY, deps=[f"merged/{KEY}"])},
    "record": {
        "cmd": "python -m tasks.record",
        "params": ["recipes"],
        "deps": ["scores", "samples", "merged"],
        "metrics": [{"results/metrics.json": {"cache": False}}],
        "outs": ["results/report.html", "results/comparisons.csv"],
    },
}
"""The pipeline's, in little: what a stage computes lies in made/."""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which everything has been run, as DVC sees it."""
    root = tmp_path_factory.mktemp("outdated") / "project"
    root.mkdir()
    make_project(root)
    for name in ("merged", "scores", "samples"):
        (root / MADE).mkdir(exist_ok=True)
        shutil.copytree(root / name, root / MADE / name)
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": GRAPH}, sort_keys=False))
    run(root, "git", "init", "-q")
    run(root, "dvc", "init", "-q")
    with contextlib.chdir(root):
        params = load_params()
        write_results(gather_files(params), params)
    run(root, "dvc", "commit", "-q", "-f")
    return root


@pytest.fixture
def project(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, which is the working folder."""
    root = tmp_path / "project"
    shutil.copytree(done, root, symlinks=True)
    monkeypatch.chdir(root)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return root


def edit(section: str, name: str, value: Any) -> Params:
    """Write a setting into params.yaml."""
    values = yaml.safe_load(paths.PARAMS.read_text())
    values[section][name] = value
    paths.PARAMS.write_text(yaml.safe_dump(values, sort_keys=False))
    return load_params()


@contextlib.contextmanager
def broken_merge(name: str) -> Iterator[None]:
    """The merge of a recipe fails."""
    made = MADE / paths.merged(name)
    away = made.rename(MADE / "away")
    yield
    away.rename(made)


@pytest.mark.long
def test_scores_of_the_recipe_as_it_was_are_not_its_scores(project: Path) -> None:
    """The merge failed, so its evaluation never ran, and the old scores lie there; later all is whole again."""
    before = paths.METRICS.read_bytes()
    params = edit("recipes", "average", {"method": "task_arithmetic", "scale": 1e-5})
    with broken_merge("average"):
        assert os.system("dvc repro -q --keep-going 2>/dev/null") != 0
        assert paths.scores("average").is_file()
        assert find_outdated(params) == {("average", "gsm8k"), ("average", "math")}
        board = gather_files(params, partial=True)
        assert [(gap.model, gap.why) for gap in board.missing] == [("average", "not merged")]
        write_results(board, params)
    assert "results/metrics.json" in run(project, "dvc", "status", "record")
    run(project, "dvc", "repro", "-q")
    assert paths.METRICS.read_bytes() == before
    assert find_outdated(params) == set()
    assert gather_files(params, partial=True).missing == []


@pytest.mark.usefixtures("project")
def test_a_benchmark_that_was_added_leaves_the_scores_on_the_others() -> None:
    """What an evaluation asks of one benchmark says nothing of the others; the backend does."""
    benchmarks = {"gsm8k": {"task": "zoo_gsm8k"}, "math": {"task": "zoo_math", "limit": 10}}
    assert find_outdated(edit("evaluation", "benchmarks", benchmarks)) == {(name, "math") for name in ANSWERS}
    edit("evaluation", "benchmarks", {name: {"task": f"zoo_{name}"} for name in ("gsm8k", "math")})
    both = {(name, benchmark) for name in ANSWERS for benchmark in ("gsm8k", "math")}
    assert find_outdated(edit("evaluation", "sandbox", "none")) == both


@pytest.mark.usefixtures("project")
def test_what_dvc_has_not_written_is_taken_as_it_is() -> None:
    """A stage command typed by hand."""
    params = edit("recipes", "average", {"method": "task_arithmetic", "scale": 0.3})
    paths.scores("average").write_text(paths.scores("average").read_text() + "\n")
    assert find_outdated(params) == set()
    Path("dvc.lock").unlink()
    assert find_outdated(params) == set()
