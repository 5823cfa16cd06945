"""A person's checkout of the toy project, and the Hub that its models come from."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Self

from prefect import State

from flows.nightly.flow import nightly
from tests.flows.nightly.checkouts import commit_all, git_in
from tests.tasks.hub_server import HubServer, Repository

GRAPH = """
stages:
  fetch_base: {cmd: python toy.py fetch base, params: [base], deps: [toy.py], outs: [models/base]}
  fetch:
    foreach: ${experts}
    do:
      cmd: python toy.py fetch ${key}
      params: ["experts.${key}.source", "experts.${key}.revision"]
      deps: [toy.py]
      outs: ["models/experts/${key}"]
  merge:
    foreach: ${recipes}
    do:
      cmd: python toy.py merge ${key}
      params: ["recipes.${key}"]
      deps: [toy.py, models]
      outs: ["merged/${key}"]
  evaluate:
    cmd: python toy.py evaluate
    params: [evaluation]
    deps: [toy.py, models, merged]
    outs:
      - samples/base
      - samples/gsm
      - samples/maths
      - samples/average
      - samples/wudi
    metrics: [scores/base.json, scores/gsm.json, scores/maths.json, scores/average.json, scores/wudi.json]
  record:
    cmd: python toy.py record
    params: [base, experts, recipes, evaluation]
    deps: [toy.py, scores]
    metrics: [{results/metrics.json: {cache: false}}]
"""

PARAMS = """
# The team's wishes; a night pins what they mean.
base: {source: team/base, revision: null}
experts:
  gsm:
    source: team/gsm   # moves often
    revision: null
    benchmarks: [gsm8k]
  maths: {source: team/maths, revision: main, benchmarks: [math]}
recipes:
  average: {method: average}
  wudi: {method: task_arithmetic, scale: 0.5}
merge: {vocabulary: error}
evaluation:
  backend: hf
  sandbox: bubblewrap
  benchmarks:
    gsm8k: {task: zoo_gsm8k}
    math: {task: zoo_math}
zoo: {seed: 0, base_steps: 250, expert_steps: 300}
"""

FILES = {
    "dvc.yaml": GRAPH,
    "params.yaml": PARAMS,
    ".gitignore": "/models/\n/merged/\n/scores/\n/samples/\n/.cache/\n/timings/\n",
    ".dvc/config": """
[core]
    remote = store
    analytics = false
[cache]
    type = "hardlink,symlink"
['remote "store"']
    url = ../../store
""",
}

SKILLS = {"base": (0.1, 0.1), "gsm": (0.8, 0.2), "maths": (0.2, 0.8)}


class ToyProject:
    """A checkout on the branch main, with a DVC remote beside it, and its models on a Hub."""

    def __init__(self, folder: Path, hub: HubServer) -> None:
        self.root = folder / "project"
        self.store = folder / "store"
        self.workspace = folder / "project-nightly"
        self.hub = hub
        for name, skills in SKILLS.items():
            self.publish(name, *skills)

    @classmethod
    def create(cls, folder: Path, empty: Path, hub: HubServer) -> Self:
        """Make the checkout, from an empty repository."""
        toy = cls(folder, hub)
        shutil.copytree(empty, toy.root)
        git_in(toy.root)("symbolic-ref", "HEAD", "refs/heads/main")
        for file, text in FILES.items():
            (toy.root / file).write_text(text)
        (toy.root / "toy.py").write_bytes(Path(__file__).with_name("toy.py").read_bytes())
        commit_all(toy.root, "the project")
        return toy

    def publish(self, name: str, gsm8k: float, math: float) -> str:
        """Move a model on the Hub; returns the commit."""
        content = json.dumps({"gsm8k": gsm8k, "math": math}).encode()
        repository = self.hub.repositories.setdefault(f"team/{name}", Repository())
        return repository.commit("main", {"config.json": b"{}", "model.safetensors": content})

    def edit(self, old: str, new: str, file: str = "params.yaml") -> str:
        """Edit a file and commit it to main; returns the commit."""
        text = (self.root / file).read_text()
        assert old in text
        (self.root / file).write_text(text.replace(old, new))
        return commit_all(self.root, f"{old} -> {new}")

    def environment(self, **variables: str) -> dict[str, str]:
        """The variables of a night of this project."""
        return {**os.environ, "HF_ENDPOINT": self.hub.url, "HF_HUB_DISABLE_TELEMETRY": "1", **variables}

    def start(self, day: int, **variables: str) -> subprocess.Popen[str]:
        """`python -m flows.nightly run`, as a person types it in the checkout."""
        return subprocess.Popen(
            [sys.executable, "-m", "flows.nightly", "run", "--night", f"2026-11-{day:02}"],
            cwd=self.root,
            env=self.environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )


def night(toy: ToyProject, day: int) -> State[Any]:
    """Make the night of a day of November, in this process."""
    return nightly(str(toy.root), night=date(2026, 11, day), return_state=True)


def tags(toy: ToyProject) -> list[str]:
    """The nights that the person sees."""
    return git_in(toy.root)("tag", "--list").split()


def started(toy: ToyProject) -> list[str]:
    """The stages whose commands were started in the nights' clone since the last look, in their order."""
    log = toy.workspace / ".git" / "started"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return lines


def in_hand(path: Path, process: subprocess.Popen[str]) -> str:
    """The text of a file that a running night is to write."""
    for _ in range(600):
        if path.is_file() and (text := path.read_text()):
            return text
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    raise AssertionError(f"{path} was not written")


def clone_of(toy: ToyProject, folder: Path, tag: str) -> Path:
    """Somebody else's clone of a night, with the same remote."""
    git_in(toy.root.parent)("clone", "-q", "-b", tag, str(toy.root), str(folder))
    dvc(folder, "remote", "modify", "--local", "store", "url", str(toy.store))
    return folder


def dvc(root: Path, *arguments: str, ok: Sequence[int] = (0,), **variables: str) -> str:
    """Run DVC in a folder; returns all that it says."""
    environment: Mapping[str, str] = {**os.environ, "DVC_NO_ANALYTICS": "1", **variables}
    command = [sys.executable, "-m", "dvc", *arguments]
    ended = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode in ok, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr
