"""The small project in the working folder, one with nights, and a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.params import Params
from tests.tasks.small_project import make_project
from tests.tasks.versions_project import Project, story

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.chdir(tmp_path)
    return make_project(tmp_path)


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Nights in git and DVC, to read; a test that writes copies them."""
    return story(tmp_path_factory.mktemp("nights") / "project")


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Of one module and no longer: while it is open, other tests in this process could start no event loop."""
    from tests.browsing import chromium

    with chromium() as found:
        yield found
