"""docs/own-method.md, word for word: a method as a package of its own, and as a file of this project."""

import os
from pathlib import Path

import pytest

from tests.conftest import ROOT, moved, random_tensors, write_model
from tests.docs.blocks import blocks
from tests.docs.playing import play

PAGE = blocks("own-method.md")
IN_TREE = "In this project"
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "false", "PIP_NO_DEPS": "1"}
"""pip takes the setuptools that is here, and downloads nothing. (`false` is how this setting is switched on.)"""


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder with what the page takes for granted: the project's own files and three models."""
    folder = tmp_path / "wudi"
    base = random_tensors(0)
    for number, name in enumerate(("base", "maths", "code")):
        write_model(folder / "practice" / name, moved(base, number) if number else base)
    return folder


@pytest.mark.long
def test_a_package_of_its_own(workplace: Path, tmp_path: Path) -> None:
    (workplace / "tests").symlink_to(ROOT / "tests")
    site = tmp_path / "site"
    path = os.pathsep.join([str(site), str(ROOT)])
    chosen = [block for block in PAGE if block.section != IN_TREE]
    play(workplace, chosen, PYTHONPATH=path, PIP_TARGET=str(site), **OFFLINE)
    assert (workplace / "practice" / "magmax" / "merge.json").is_file()


def test_a_file_of_this_project(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for file in (ROOT / "wudi").rglob("*.py"):
        copy = project / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    play(project, [block for block in PAGE if block.section == IN_TREE])
