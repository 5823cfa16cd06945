"""A project whose nights are committed by git and DVC themselves, under this project's own dvc.yaml."""

import contextlib
import copy
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tasks import paths
from tasks.leaderboard.gather import gather_files
from tasks.leaderboard.table import as_json, metrics
from tasks.leaderboard.write import write, write_leaderboard
from tasks.params import load_params
from tests.conftest import ROOT
from tests.tasks.small_project import ANSWERS, EXPERTS, Answers, make_project, pattern

GIT = ("git", "-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
BASE, MATHS, NEW_MATHS = ("0123456789" * 4, "a1b2c3d4" * 5, "f" * 40)
WORSE: Answers = {**ANSWERS, "wudi": {"gsm8k": pattern(8, 40), "math": pattern(7, 20)}}
"""wudi falls on gsm8k from 24 to 8 of 40, and on math by one question; everything else stays."""


def run(root: Path, *arguments: str) -> str:
    """The output of a command."""
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(arguments, cwd=root, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Project:
    """A git and DVC repository with this project's graph; its code is stubs, since nothing of it runs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True)
        run(root, "git", "init", "-q", "-b", "main")
        self.dvc("init", "-q")
        for name in ("dvc.yaml", ".gitignore", ".dvcignore"):
            shutil.copy(ROOT / name, root / name)
        graph = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()
        for dep in {dep for stage in graph for dep in stage.get("do", stage)["deps"]}:
            if dep.startswith(("tasks/", "wudi", "lm_eval_tasks")) and "$" not in dep:
                self.put(dep if dep.endswith(".py") else f"{dep}/code.py", "first\n")

    def night(self, tag: str | None, answers: Answers = ANSWERS, **edits: Any) -> str:
        """What a night leaves, committed with a tag; its commit.

        Args:
            tag: The tag; None: what is written stays in the working tree.
            answers: Of every model; which recipes there are follows from it.
            edits: Path in params.yaml, with __ for dots -> value.
        """
        recipes = [name for name in answers if name not in ("base", *EXPERTS.values())]
        self.write(answers, recipes, edits)
        return self.commit(tag) if tag else ""

    def write(self, answers: Answers, recipes: list[str], edits: Mapping[str, Any]) -> None:
        """Everything that a run of the pipeline writes."""
        for folder in (paths.SCORES, paths.SAMPLES):
            shutil.rmtree(self.root / folder, ignore_errors=True)
        make_project(self.root, answers, recipes)
        edited = {"base__revision": BASE, "experts__maths__revision": MATHS, **edits}
        params = self.edit(edited)
        for name, model in {"base": params["base"], **params["experts"]}.items():
            folder = paths.BASE if name == "base" else paths.expert(name)
            self.put(folder / "weights", f"{model['source']} {model['revision']}")
        for recipe in recipes:
            self.put(paths.merged(recipe) / "weights", json.dumps([params["recipes"][recipe], params["experts"]]))
        for path in (paths.REPORT, paths.COMPARISONS, paths.SCORES_TABLE, paths.PLOTS / "means.png"):
            self.put(path, "drawn\n")
        with contextlib.chdir(self.root):
            board = gather_files(load_params())
            write(paths.METRICS, as_json(metrics(board)))
            write_leaderboard(board)

    def edit(self, edits: Mapping[str, Any]) -> dict[str, Any]:
        """params.yaml with other values."""
        params: dict[str, Any] = yaml.safe_load((self.root / paths.PARAMS).read_text())
        for path, value in edits.items():
            *parents, key = path.split("__")
            section = params
            for parent in parents:
                section = section[parent]
            section[key] = copy.deepcopy(value)
        self.put(paths.PARAMS, yaml.safe_dump(params, sort_keys=False))
        return params

    def commit(self, tag: str) -> str:
        """Everything as DVC and git record it."""
        self.dvc("commit", "-f", "-q")
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", tag)
        self.git("tag", "-a", "-m", tag, tag)
        return self.git("rev-parse", "HEAD").strip()

    def put(self, path: Path | str, text: str) -> None:
        """Write a file and the folders above it."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def git(self, *arguments: str) -> str:
        """Run git."""
        return run(self.root, *GIT, *arguments)

    def dvc(self, *arguments: str) -> str:
        """Run DVC."""
        return run(self.root, sys.executable, "-m", "dvc", *arguments)

    def copy(self, root: Path) -> "Project":
        """The same repository in another folder."""
        shutil.copytree(self.root, root, symlinks=True)
        twin = object.__new__(Project)
        twin.root = root
        return twin


def story(root: Path) -> Project:
    """Five nights: the first; the same; an expert and a recipe's setting moved and wudi fell; a new recipe; a benchmark
    asked otherwise."""
    project = Project(root)
    project.night("night/2026-11-01")
    project.git("tag", "-a", "-m", "same", "night/2026-11-02")
    project.night("night/2026-11-03", WORSE, experts__maths__revision=NEW_MATHS, recipes__wudi__iterations=100)
    more = {**WORSE, "best": {"gsm8k": pattern(36, 40), "math": pattern(15, 20)}}
    project.night("night/2026-11-03.2", more, experts__maths__revision=NEW_MATHS, recipes__wudi__iterations=100)
    project.night(
        "night/2026-11-03.10",
        {name: {**scores, "math": scores["math"][:15]} for name, scores in more.items()},
        experts__maths__revision=NEW_MATHS,
        recipes__wudi__iterations=100,
        evaluation__benchmarks__math__limit=15,
    )
    return project
