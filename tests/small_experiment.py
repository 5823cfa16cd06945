"""The whole project in a folder of its own, and an experiment small enough to run for real in a test."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from tests.conftest import ROOT

ENVIRONMENT = {
    **os.environ,
    "DVC_NO_ANALYTICS": "1",
    **{f"GIT_{role}_{what}": "a@b.c" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}
PARAMS: dict[str, Any] = {
    "base": {"source": "zoo:base", "revision": None},
    "experts": {"gsm8k": {"source": "zoo:gsm8k", "revision": None, "benchmarks": ["gsm8k"]}},
    "recipes": {"most": {"method": "task_arithmetic", "scale": 0.9}},
    "merge": {"device": "cpu", "dtype": "auto", "vocabulary": "error"},
    "evaluation": {
        "backend": "hf",
        "device": "cpu",
        "dtype": "auto",
        "batch_size": 4,
        "sandbox": "bubblewrap",
        "benchmarks": {"gsm8k": {"task": "zoo_gsm8k", "limit": 2}},
    },
    "zoo": {"seed": 0, "base_steps": 1, "expert_steps": 1},
}
FIRST, SECOND = "night/2026-01-01", "night/2026-01-02"
"""Tags of two runs. The second has the recipe `half` in the place of `most`."""


def command(folder: Path, *arguments: str, check: bool = True) -> str:
    """The output of a command in a folder, with this Python's own programs."""
    done = subprocess.run(
        arguments, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=600
    )
    output = done.stdout + done.stderr
    assert not check or done.returncode == 0, output
    assert "Traceback" not in output, output
    return output


def module(folder: Path, *arguments: str, check: bool = True) -> str:
    """The output of a module of the project."""
    return command(folder, sys.executable, "-m", *arguments, check=check)


def ran(output: str) -> list[str]:
    """The stages that DVC says to have run."""
    return re.findall(r"^Running stage '([^']+)'", output, flags=re.MULTILINE)


def repro(folder: Path, *options: str) -> list[str]:
    """Run `dvc repro` and tell which stages ran."""
    return ran(command(folder, "dvc", "repro", *options))


def commit(folder: Path) -> None:
    """Commit everything."""
    command(folder, "git", "add", "--all")
    command(folder, "git", "commit", "--quiet", "--message=x")


def changes(folder: Path) -> str:
    """What git finds changed."""
    return command(folder, "git", "status", "--short")


def copy_project(folder: Path, params: dict[str, Any]) -> None:
    """Make a repository of the project as it stands in the working tree, with other params."""
    folder.mkdir(parents=True)
    tracked = command(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    for name in tracked:
        if (ROOT / name).is_file() and name != "dvc.lock" and not name.startswith("results/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    write_params(folder, params)
    command(folder, "git", "init", "--quiet", "--initial-branch=main")
    commit(folder)


def write_params(folder: Path, params: dict[str, Any]) -> None:
    """Write params.yaml."""
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def clone(origin: Path, folder: Path, revision: str = "main") -> Path:
    """A clone of a project at a revision, without a cache."""
    command(origin, "git", "clone", "--quiet", str(origin), str(folder))
    command(folder, "git", "checkout", "--quiet", revision)
    return folder


def cached(folder: Path) -> dict[str, bytes]:
    """Every object of a project's cache, or of a remote."""
    root = folder / ".dvc" / "cache" if (folder / ".dvc").is_dir() else folder
    files = (file for file in (root / "files" / "md5").rglob("*") if file.is_file())
    return {file.parent.name + file.name: file.read_bytes() for file in files}


def two_nights(factory: pytest.TempPathFactory) -> Path:
    """A project that has run twice and tagged each run; made once for all the processes of a test run. Copy it."""
    base = factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder = shared / "two-nights"
    with FileLock(shared / "two-nights.lock"):
        if not folder.exists():
            run_two_nights(shared / "two-nights.partial")
            (shared / "two-nights.partial").rename(folder)
    return folder


def run_two_nights(folder: Path) -> None:
    """Run the small experiment, and again with its recipe replaced."""
    copy_project(folder, PARAMS)
    assert len(repro(folder)) == 9
    commit(folder)
    command(folder, "git", "tag", FIRST)
    write_params(folder, PARAMS | {"recipes": {"half": {"method": "task_arithmetic", "scale": 0.5}}})
    assert repro(folder) == ["merge@half", "evaluate_recipe@half", "record"]
    commit(folder)
    command(folder, "git", "tag", SECOND)


def copied(factory: pytest.TempPathFactory, folder: Path) -> Path:
    """A copy of the project with two runs, to change."""
    shutil.copytree(two_nights(factory), folder, symlinks=True)
    command(folder, "dvc", "checkout", "--quiet", "--relink")
    return folder
