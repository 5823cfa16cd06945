import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from dvc.config import Config

from flows.nightly.clone import AnotherNight, NotOurs, alone, default_workspace, open_clone, origin_of
from flows.nightly.dvc_settings import take_over
from flows.nightly.git import Git, GitFailed
from flows.nightly.tree import NoBranch, fetch
from tests.flows.nightly.checkouts import commit_all, git_in
from wudi.errors import WudiError

HOLD = "import sys, time; from pathlib import Path; from flows.nightly.clone import alone\n"
HOLD += "with alone(Path(sys.argv[1])): print('held', flush=True); time.sleep(300)"
FETCH = "import sys; from pathlib import Path; from flows.nightly.git import Git; Git(Path(sys.argv[1]))(*sys.argv[2:])"


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server of git that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


@pytest.fixture
def served(checkout: Path, tmp_path: Path) -> Iterator[str]:
    """The address of a checkout's copy on a web server, with a password in it."""
    git_in(tmp_path)("clone", "-q", "--bare", str(checkout), "web/merges.git")
    git_in(tmp_path / "web" / "merges.git")("update-server-info")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "web"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://bot:SECRET@127.0.0.1:{server.server_port}/merges.git"
        server.shutdown()
        thread.join()


def test_a_checkout_without_origin_is_cloned_itself_and_else_its_origin(checkout: Path, tmp_path: Path):
    assert origin_of(str(checkout)) == str(checkout)
    bare = tmp_path / "bare.git"
    git_in(tmp_path)("clone", "-q", "--bare", str(checkout), str(bare))
    git_in(checkout)("remote", "add", "origin", "../bare.git")
    assert origin_of(str(checkout)) == str(bare)
    assert origin_of(str(bare)) == str(bare)
    assert origin_of("https://example.org/merges.git") == "https://example.org/merges.git"


def test_the_clone_is_made_once_and_is_beside_the_checkout(checkout: Path):
    workspace = default_workspace(str(checkout))
    assert workspace == checkout.parent / "project-nightly"
    git = open_clone(str(checkout), workspace)
    (workspace / "models").mkdir()
    (workspace / "models" / "kept").write_text("a checkpoint")
    assert open_clone(str(checkout), workspace).root == git.root
    assert (workspace / "models" / "kept").exists()


def test_what_an_interrupted_clone_left_is_in_nobodys_way(checkout: Path, tmp_path: Path):
    half = tmp_path / "nights.partial"
    half.mkdir()
    (half / "half").write_text("")
    open_clone(str(checkout), tmp_path / "nights")
    assert not half.exists()
    assert not (tmp_path / "nights" / "half").exists()


def test_no_folder_of_a_person_is_taken_for_a_clone(checkout: Path, tmp_path: Path):
    with pytest.raises(NotOurs, match="was not made by a night"):
        open_clone(str(checkout), checkout)
    work = tmp_path / "work"
    work.mkdir()
    (work / "thesis.txt").write_text("years")
    with pytest.raises(NotOurs, match="was not made by a night"):
        open_clone(str(checkout), work)
    with pytest.raises(NotOurs, match="was not made by a night"):
        open_clone(str(checkout), work / "thesis.txt")
    assert (work / "thesis.txt").read_text() == "years"
    open_clone(str(checkout), tmp_path / "nights")
    git_in(tmp_path)("clone", "-q", str(checkout), "another")
    git_in(tmp_path / "another")("remote", "remove", "origin")
    with pytest.raises(NotOurs, match=f"nights of {checkout} are made there"):
        open_clone(str(tmp_path / "another"), tmp_path / "nights")


def test_what_cannot_be_cloned_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("flows.nightly.git.PAUSE", 0.01)
    with pytest.raises(GitFailed, match=r"nowhere\.git cannot be cloned: .*does not"):
        open_clone(f"file://{tmp_path}/nowhere.git", tmp_path / "nights")
    with pytest.raises(GitFailed, match="no git repository"):
        open_clone(str(tmp_path), tmp_path / "nights")
    with pytest.raises(WudiError, match="--workspace"):
        default_workspace("https://example.org/merges.git")
    assert not (tmp_path / "nights").exists()


def test_a_second_night_is_kept_out_until_the_first_has_ended_however(tmp_path: Path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "nights")], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    with holder.stdout as out:
        assert out.readline() == b"held\n"
        with pytest.raises(AnotherNight, match="another night is at work"), alone(tmp_path / "nights"):
            pass
        holder.kill()
        holder.wait()
    with alone(tmp_path / "nights"):
        pass


def test_dvcs_settings_of_the_machine_reach_the_clone(checkout: Path, tmp_path: Path):
    (checkout / ".dvc" / "config").write_text(
        "[core]\n    remote = beside\n"
        "['remote \"beside\"']\n    url = ../../store\n"
        "['remote \"far\"']\n    url = s3://bucket/path\n"
    )
    commit_all(checkout)
    (checkout / ".dvc" / "config.local").write_text(
        "['remote \"far\"']\n    access_key_id = key\n[cache]\n    dir = ../../cache\n"
    )
    git = open_clone(str(checkout), tmp_path / "deeper" / "nights")
    git("checkout", "-q", "origin/main")
    for _ in range(2):
        take_over(str(checkout), git.root)
        settings = Config(str(git.root / ".dvc"))
        assert settings["remote"]["beside"]["url"] == str(tmp_path / "store")
        assert settings["remote"]["far"]["url"] == "s3://bucket/path"
        assert settings["remote"]["far"]["access_key_id"] == "key"
        assert str(settings["cache"]["dir"]) == str(tmp_path / "cache")
    assert git("status", "--porcelain") == ""
    take_over("https://example.org/merges.git", git.root)


@pytest.mark.parametrize(
    "name",
    [
        "index.lock",
        "HEAD.lock",
        "config.lock",
        "packed-refs.lock",
        "shallow.lock",
        "refs/heads/nightly.lock",
        "refs/tags/night/2026-11-01.lock",
    ],
)
def test_locks_of_a_killed_night_are_removed(checkout: Path, tmp_path: Path, name: str):
    git = open_clone(str(checkout), tmp_path / "nights")
    lock = git.root / ".git" / name
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("")
    open_clone(str(checkout), tmp_path / "nights")
    assert not lock.exists()


def test_git_of_a_killed_night_is_ended_and_that_of_a_person_is_not(
    checkout: Path, tmp_path: Path, silent: socket.socket
):
    git = open_clone(str(checkout), tmp_path / "nights")
    fetching = ("fetch", f"git://127.0.0.1:{silent.getsockname()[1]}/merges.git")
    night = subprocess.Popen([sys.executable, "-c", FETCH, str(git.root), *fetching])
    orphans, _ = silent.accept()
    person = subprocess.Popen(["git", "-C", str(git.root), *fetching], stderr=subprocess.DEVNULL)
    persons, _ = silent.accept()
    with orphans, persons:
        night.kill()
        night.wait()
        open_clone(str(checkout), tmp_path / "nights")
        orphans.settimeout(30)
        while orphans.recv(1024):
            pass
        assert person.poll() is None
        person.kill()
        person.wait()


def test_clones_survive_a_power_cut_also_those_made_before(checkout: Path, tmp_path: Path):
    git = open_clone(str(checkout), tmp_path / "nights")
    assert git.setting("core.fsync") == "all"
    git("config", "--unset", "core.fsync")
    assert open_clone(str(checkout), tmp_path / "nights").setting("core.fsync") == "all"


def test_no_password_is_shown(served: str, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("flows.nightly.git.PAUSE", 0.01)
    git = open_clone(served, tmp_path / "nights")
    said = [
        raised(NoBranch, lambda: fetch(git, "release", "nightly")),
        raised(NotOurs, lambda: open_clone(served + "/other", tmp_path / "nights")),
        raised(NotOurs, lambda: open_clone(str(checkout), tmp_path / "nights")),
        raised(GitFailed, lambda: open_clone(served + "/other", tmp_path / "others")),
        raised(GitFailed, lambda: git("fetch", served + "/other")),
    ]
    assert all("http://127.0.0.1:" in message and "SECRET" not in message for message in said)


def test_git_says_why_and_no_password(tmp_path: Path):
    script = tmp_path / "said"
    script.write_text(
        "#!/bin/sh\nprintf 'remote: error: too big\\nremote: \\nTo https://bot:SECRET@example.org/merges.git\\n"
        " ! [rejected] a -> a (atomic push failed)\\n ! [rejected] b -> b (fetch first)\\n"
        "error: failed to push to https://bot:SECRET@example.org/merges.git\\nhint: one\\nhint: two\\nhint: three\\n'"
        " >&2\n"
        "exit 1\n"
    )
    script.chmod(0o755)
    message = raised(GitFailed, lambda: Git(tmp_path)("-c", f"alias.say=!{script}", "say"))
    assert "remote: error: too big" in message
    assert "b -> b (fetch first); failed to push to https://example.org" in message
    assert "hint" not in message
    assert "SECRET" not in message


def raised(kind: type[WudiError], action: Callable[[], object]) -> str:
    """The message of the error that an action ends with."""
    with pytest.raises(kind) as caught:
        action()
    return str(caught.value)
