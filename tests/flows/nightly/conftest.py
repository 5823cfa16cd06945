import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.nightly.checkouts import commit_all, git_in
from tests.flows.nightly.toy_project import ToyProject, night
from tests.tasks.hub_server import HubServer


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_settings(monkeypatch, tmp_path)


@pytest.fixture
def checkout(tmp_path: Path, empty: Path) -> Path:
    """A person's checkout with one commit on main."""
    root = tmp_path / "project"
    shutil.copytree(empty, root)
    git_in(root)("symbolic-ref", "HEAD", "refs/heads/main")
    (root / "params.yaml").write_text("wish: null\n")
    (root / ".gitignore").write_text("/models/\n")
    commit_all(root)
    return root


@pytest.fixture(scope="session")
def first_night(tmp_path_factory: pytest.TempPathFactory, empty: Path, server: str) -> tuple[Path, Path]:
    """Where the toy project is, and a copy of how it is after its first night, of November 1."""
    assert server
    place = tmp_path_factory.mktemp("toy")
    folder, kept = place / "now", place / "after-the-first-night"
    folder.mkdir()
    with HubServer() as hub, pytest.MonkeyPatch.context() as patch:
        without_settings(patch, folder)
        reachable(hub, patch)
        state = night(ToyProject.create(folder, empty, hub), 1)
        assert state.is_completed(), state.message
    folder.rename(kept)
    return folder, kept


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub on the loopback address."""
    with HubServer() as server:
        reachable(server, monkeypatch)
        yield server


@pytest.fixture
def toy(first_night: tuple[Path, Path], hub: HubServer) -> Iterator[ToyProject]:
    """A checkout of which the night of November 1 is made; others are made in this process, with a Prefect server."""
    folder, kept = first_night
    # In the same place, since the nights' clone knows where it comes from.
    shutil.copytree(kept, folder, symlinks=True)
    yield ToyProject(folder, hub)
    shutil.rmtree(folder)


def reachable(hub: HubServer, patch: pytest.MonkeyPatch) -> None:
    """Let this process, and those that it starts, take it for the Hub."""
    patch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
    patch.setattr("flows.nightly.git.PAUSE", 0.01)
    patch.setenv("HF_ENDPOINT", hub.url)


def without_settings(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Nights are made on boxes where git knows nobody."""
    patch.setenv("GIT_CONFIG_GLOBAL", str(folder / "no-such-file"))
    patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
