"""A few nights of the zoo, made by the nightly flow itself: experts move, a recipe is added.

The models are the zoo's own, trained in two lengths, and stand in folders as a team's checkpoints would.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tasks.zoo import NAMES, ZooSettings, train

ROOT = Path(__file__).resolve().parents[2]
EXPERTS = [name for name in NAMES if name != "base"]
SHORT, LONG = ZooSettings(expert_steps=120), ZooSettings()
Sections = dict[str, dict[str, Any]]
"""params.yaml."""
LATE_RECIPE = "swudi"
"""Added by the team on the third night."""
NIGHTS = ("2026-11-17", "2026-11-18", "2026-11-19", "2026-11-20")


def make_nights(work: Path) -> Path:
    """Make the nights below `work`; the workspace of the last one. What is there already is not made again."""
    train_zoo(work / "zoo")
    project = check_out(work / "experiment", work / "models")
    for night in NIGHTS:
        move(night, work / "zoo", work / "models")
        change(night, project)
        make(night, project)
    return project.with_name("experiment-nightly")


def train_zoo(folder: Path) -> None:
    """The base, and each expert in both lengths."""
    for name, settings in [("base", LONG), *((name, length) for name in EXPERTS for length in (SHORT, LONG))]:
        target = folder / name if name == "base" else folder / f"{name}-{settings.expert_steps}"
        if not target.exists():
            partial = target.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            train(name, partial, settings, base=None if name == "base" else folder / "base")
            partial.rename(target)


def check_out(project: Path, models: Path) -> Path:
    """A clone of this project whose params.yaml names the folders."""
    if not project.exists():
        git(project.parent, "clone", "--quiet", str(ROOT), str(project))
        git(project, "checkout", "--quiet", "-B", "main")
        git(project, "remote", "remove", "origin")
        edit(project, lambda values: start(values, models))
        commit(project, "The team's own models")
    return project


def start(values: Sections, models: Path) -> None:
    """The experiment of the first night."""
    sources = {name: {"source": str(models / name), "revision": None} for name in NAMES}
    values["base"] = sources["base"]
    values["experts"] = {name: {**sources[name], "benchmarks": [name]} for name in EXPERTS}
    del values["recipes"][LATE_RECIPE]


def move(night: str, zoo: Path, models: Path) -> None:
    """Which checkpoints the team has that night: two experts are trained further, one after the other."""
    number = NIGHTS.index(night)
    longer = {"math": number >= 1, "humaneval": number >= 3}
    wanted = {"base": "base"}
    wanted |= {name: f"{name}-{(LONG if longer.get(name, True) else SHORT).expert_steps}" for name in EXPERTS}
    for name, source in wanted.items():
        mark = models / f"{name}.from"
        if mark.is_file() and mark.read_text(encoding="utf-8") == source:
            continue
        mark.unlink(missing_ok=True)
        shutil.rmtree(models / name, ignore_errors=True)
        shutil.copytree(zoo / source, models / name)
        mark.write_text(source, encoding="utf-8")


def change(night: str, project: Path) -> None:
    """What the team commits before that night."""
    if NIGHTS.index(night) == 2 and LATE_RECIPE not in read(project)["recipes"]:
        edit(project, lambda values: values["recipes"].update({LATE_RECIPE: {"method": "swudi", "ratio": 0.85}}))
        commit(project, "Try SWUDI too")


def make(night: str, project: Path) -> None:
    """One night."""
    known = git(project, "tag", "--list", f"night/{night}")
    if not known.strip():
        run([sys.executable, "-m", "flows.nightly", "run", "--night", night], project)


def read(project: Path) -> Sections:
    """The sections of params.yaml."""
    values: Sections = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    return values


def edit(project: Path, how: Callable[[Sections], None]) -> None:
    """Change params.yaml."""
    values = read(project)
    how(values)
    (project / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")


def commit(project: Path, message: str) -> None:
    """Commit every change."""
    git(project, "add", "--all")
    git(project, "-c", "user.name=team", "-c", "user.email=team@localhost", "commit", "--quiet", "--message", message)


def git(folder: Path, *arguments: str) -> str:
    """What git says."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def run(command: list[str], folder: Path) -> None:
    """Run a command of the project's, which prints to this terminal."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, check=True)
