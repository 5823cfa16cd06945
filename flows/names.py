"""What the pipeline's runs are called in Prefect."""

import subprocess
from pathlib import Path

from prefect.runtime import flow_run


def run_name() -> str:
    """The run's name: the workspace's folder, and what git has there."""
    root = Path(flow_run.parameters.get("root", Path())).resolve()
    return f"pipeline {root.name}{revision(root)}"


def revision(root: Path) -> str:
    """The branch and commit that a folder has, like `@main 1a2b3c4`; nothing where git has none."""
    branch, commit = git(root, "symbolic-ref", "--short", "HEAD"), git(root, "rev-parse", "--short", "HEAD")
    text = " ".join(filter(None, [branch, commit]))
    return f"@{text}" if text else ""


def git(root: Path, *words: str) -> str:
    """What git says about a folder; nothing where it has nothing to say, or is not there."""
    try:
        result = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""
