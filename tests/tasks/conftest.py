"""The small project in the working folder."""

from pathlib import Path

import pytest

from tasks.params import Params
from tests.tasks.small_project import make_project


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.chdir(tmp_path)
    return make_project(tmp_path)
