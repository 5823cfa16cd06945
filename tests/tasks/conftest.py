"""The small project in the working folder, and one with nights."""

from pathlib import Path

import pytest

from tasks.params import Params
from tests.tasks.small_project import make_project
from tests.tasks.versions_project import Project, story


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.chdir(tmp_path)
    return make_project(tmp_path)


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Nights in git and DVC, to read; a test that writes copies them."""
    return story(tmp_path_factory.mktemp("nights") / "project")
