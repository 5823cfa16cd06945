import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prefect.settings import get_current_settings
from prefect.testing.utilities import prefect_test_harness

TOY = """
vars: [toy.yaml]
stages:
  fetch_base: {cmd: mkdir -p models && echo base > models/base, deps: [toy.txt], outs: [models/base]}
  fetch:
    foreach: ${experts}
    do:
      cmd: mkdir -p models && echo "fetching ${key}" && echo ${item} > models/${key}
      deps: [toy.txt]
      outs: ["models/${key}"]
  merge:
    foreach: ${experts}
    do:
      cmd: mkdir -p merged && test ${item} != bad && cat models/base models/${key} > merged/${key}
      deps: [models/base, "models/${key}"]
      outs: ["merged/${key}"]
  record: {cmd: cat merged/* > record.txt, deps: [merged], outs: [record.txt]}
"""


def dvc(root: Path, *arguments: str) -> str:
    """Run DVC in a folder and return what it says."""
    command = [sys.executable, "-m", "dvc", *arguments]
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    return subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git and DVC repository without stages, to copy."""
    root = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    dvc(root, "init", "-q")
    (root / "toy.txt").write_text("toy\n")
    # Without it DVC writes a .gitignore into each folder, line by line as stages end: part of a dependency's hash.
    (root / ".gitignore").write_text("/models/\n/merged/\n")
    return root


@pytest.fixture
def repository(empty: Path, tmp_path: Path) -> Callable[..., Path]:
    """Make a repository with a dvc.yaml, and the experts that the toy pipeline's foreach runs over."""

    def make(graph: str = TOY, name: str = "workspace", **experts: str) -> Path:
        root = tmp_path / name
        shutil.copytree(empty, root)
        (root / "dvc.yaml").write_text(graph)
        lines = [f"  {key}: '{item}'\n" for key, item in experts.items()]
        (root / "toy.yaml").write_text("experts:\n" + "".join(lines) if lines else "experts: {}\n")
        return root

    return make


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Prefect's real server on a database of its own, for flows in this process; yields its address."""
    with prefect_test_harness(server_startup_timeout=120):
        yield str(get_current_settings().api.url)
