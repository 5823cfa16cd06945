"""What changed since last time, told by a stage that DVC runs while it holds its locks and dvc.lock is of before."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from tasks import paths
from tests.conftest import ROOT
from tests.tasks.small_project import ANSWERS
from tests.tasks.versions_project import Project

EVALUATE = """
from pathlib import Path
import yaml
from tests.tasks.small_project import ANSWERS, pattern, write_answers

right = yaml.safe_load(Path("params.yaml").read_text())["recipes"]["wudi"]["iterations"] // 10
for name, answers in {**ANSWERS, "wudi": {"gsm8k": pattern(right, 40), "math": pattern(8, 20)}}.items():
    write_answers(Path(), name, answers)
"""
RECORD = """
from pathlib import Path
from tasks import paths
from tasks.leaderboard.gather import gather_files
from tasks.leaderboard.table import as_json, metrics
from tasks.leaderboard.write import write
from tasks.params import load_params
from tasks.report.history import history

board = gather_files(load_params())
found = history(board)
write(paths.METRICS, as_json(metrics(board) | {"history": found.headline if found else ""}))
"""


@pytest.fixture
def running(told: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A repository without a commit whose two stages DVC really runs."""
    project = told.copy(tmp_path / "copy")
    project.git("checkout", "-q", "-f", "night/2026-11-01")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    for folder in (".git", paths.SCORES, paths.SAMPLES, paths.RESULTS, "dvc.lock"):
        path = project.root / folder
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    outs = [path.as_posix() for name in ANSWERS for path in (paths.scores(name), paths.samples(name))]
    metric = {paths.METRICS.as_posix(): {"cache": False}}
    stages = {
        "evaluate": {"cmd": "python evaluate.py", "params": ["recipes"], "outs": outs},
        "record": {"cmd": "python record.py", "deps": ["scores", "samples"], "metrics": [metric]},
    }
    project.put("dvc.yaml", yaml.safe_dump({"stages": stages}))
    project.put("evaluate.py", EVALUATE)
    project.put("record.py", RECORD)
    project.edit({"recipes__wudi__iterations": 240})
    project.git("init", "-q", "-b", "main")
    return project


@pytest.mark.long
def test_within_dvc_repro_and_an_experiment_apart(running: Project) -> None:
    """DVC holds its locks, and dvc.lock and results/ are of before."""

    def said(content: str) -> str:
        return str(json.loads(content)["history"])

    running.dvc("repro", "-q")
    assert said((running.root / paths.METRICS).read_text()) == ""
    running.git("add", "-A")
    running.git("commit", "-q", "-m", "first")
    commit = running.git("rev-parse", "--short=7", "HEAD").strip()
    running.edit({"recipes__wudi__iterations": 80})
    running.dvc("repro", "-q")
    expected = f"Since commit {commit}: recipe wudi iterations 240 -> 80; same, still first, answers every question"
    assert said((running.root / paths.METRICS).read_text()).startswith(expected)
    running.git("tag", "night/2026-11-01")
    running.git("checkout", "-q", "-f", "HEAD")
    running.dvc("exp", "run", "--temp", "-q", "-n", "apart", "-S", "recipes.wudi.iterations=400")
    (name,) = re.findall(r"\S+/apart$", running.git("for-each-ref", "--format=%(refname)", "refs/exps"), re.MULTILINE)
    expected = f"Since commit {commit}: recipe wudi iterations 240 -> 400; wudi, still first, rose in mean score"
    assert said(running.git("show", f"{name}:{paths.METRICS}")).startswith(expected)
