"""Fetching from a Hub that fails, cuts, lies and crawls, and by processes that are killed."""

import contextlib
import os
import pty
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.conftest import moved, random_tensors, write_model
from tests.tasks.fetch_project import BASE, PARTIAL, contents, fetched_from_hub, started, write_params
from tests.tasks.hub_server import Fault, HubServer

FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_model(tmp_path / "source", random_tensors(0), shards=2)


@pytest.fixture
def hub(source: Path) -> Iterator[HubServer]:
    with HubServer() as server:
        server.publish("someone/base", source)
        yield server


@pytest.mark.parametrize(
    "faults",
    [
        [Fault("GET /api/.*base$", times=2, status=503), Fault("GET /api/.*tree", times=1, status=503)],
        [Fault("HEAD .*json", times=1, status=500), Fault("GET /store", times=2, status=503)],
        [Fault("GET /api/.*tree", times=1, status=501)],  # after which the client returns what it has
        [Fault("GET .*index.json", times=1, status=429)],
        [Fault(f"GET /store.*{FIRST}", times=1, cut=True), Fault("GET .*/config.json", times=1, cut=True)],
        [Fault(f"GET /store.*{SECOND}", times=2, wrong=True)],
        [Fault("GET .*/config.json", times=1, cut=True, status=200)],
    ],
    ids=["listing", "files", "tree", "rate", "cut", "wrong", "empty"],
)
def test_what_passes_is_waited_for(faults: list[Fault], hub: HubServer, source: Path, tmp_path: Path) -> None:
    hub.faults = faults
    status, out, errors = fetched_from_hub(tmp_path / "project", hub, "someone/base")
    assert (status, out, errors) == (0, "fetched base from someone/base\n", "")
    assert contents(tmp_path / "project" / BASE) == contents(source)
    assert all(fault.times == 0 for fault in faults)


def test_a_hub_that_stays_down_is_one_error_and_the_next_run_goes_on(
    hub: HubServer, source: Path, tmp_path: Path
) -> None:
    hub.faults = [Fault(f"GET /store.*{SECOND}", status=503)]
    status, _, errors = fetched_from_hub(tmp_path / "project", hub, "someone/base")
    assert status == 1
    assert "someone/base: did not answer (" in errors
    assert "after 5 attempts; run the same command again to go on where it stopped" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "project" / BASE).exists()
    hub.faults = []
    status, _, errors = fetched_from_hub(tmp_path / "project", hub, "someone/base")
    assert (status, errors) == (0, "")
    assert contents(tmp_path / "project" / BASE) == contents(source)
    assert hub.times_asked(f"GET /store.*{FIRST}") == 1


def test_a_file_that_stays_wrong_is_told_with_both_hashes(hub: HubServer, source: Path, tmp_path: Path) -> None:
    hub.faults = [Fault(f"GET /store.*{FIRST}", wrong=True)]
    status, _, errors = fetched_from_hub(tmp_path / "project", hub, "someone/base")
    assert status == 1
    content = (source / FIRST).read_bytes()
    wrong = content[:-1] + bytes([content[-1] ^ 1])
    assert f"{FIRST} came with the SHA-256 {sha256(wrong).hexdigest()}" in errors
    assert f"but the Hub lists {sha256(content).hexdigest()}, after 5 attempts" in errors
    assert hub.times_asked(f"GET /store.*{FIRST}") == 5
    assert not (tmp_path / "project" / BASE).exists()
    assert not (tmp_path / "project" / PARTIAL / FIRST).exists()
    assert (tmp_path / "project" / PARTIAL / SECOND).read_bytes() == (source / SECOND).read_bytes()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_file_that_is_refused_is_asked_for_once(status: int, hub: HubServer, tmp_path: Path) -> None:
    hub.faults = [Fault(f"GET /store.*{FIRST}", status=status)]
    found, _, errors = fetched_from_hub(tmp_path / "project", hub, "someone/base")
    assert found == 1
    assert f"the Hub refuses with status {status}" in errors
    assert hub.times_asked(f"GET /store.*{FIRST}") == 1


def interrupted(folder: Path, hub: HubServer, number: int, seconds: float) -> subprocess.Popen[str]:
    """A fetch that got a signal some seconds after the first file began to come."""
    files = "GET /(store|.*/resolve)"
    before = hub.times_asked(files)
    process = started(folder, hub)
    while hub.times_asked(files) == before and process.poll() is None:
        time.sleep(0.01)
    time.sleep(seconds)
    process.send_signal(number)
    return process


@pytest.mark.long
def test_killed_again_and_again(hub: HubServer, tmp_path: Path) -> None:
    source = write_model(tmp_path / "large", random_tensors(1, 2.0), shards=6)
    chance = random.Random(0)
    for file in [*source.glob("*.safetensors"), source / "vocab.txt"]:
        file.write_bytes(chance.randbytes(chance.randrange(20_000, 100_000)))
    hub.publish("someone/base", source)
    project = tmp_path / "project"
    write_params(project, "someone/base")
    hub.pause = 0.05
    for seconds in (chance.uniform(0, 0.5) for _ in range(4)):
        process = interrupted(project, hub, signal.SIGKILL, seconds)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        whole = {name: content for name, content in contents(source).items() if (project / PARTIAL / name).is_file()}
        assert all((project / PARTIAL / name).read_bytes() == content for name, content in whole.items())
        assert not (project / BASE).exists()
    hub.pause = 0.0
    status, _, errors = fetched_from_hub(project, hub, "someone/base")
    assert (status, errors) == (0, "")
    assert contents(project / BASE) == contents(source)
    assert not (project / PARTIAL).exists()


def test_what_another_commit_left_is_not_mixed_in(hub: HubServer, tmp_path: Path) -> None:
    project = tmp_path / "project"
    hub.faults = [Fault(f"GET /store.*{SECOND}", status=503)]
    assert fetched_from_hub(project, hub, "someone/base")[0] == 1
    assert (project / PARTIAL / FIRST).exists()
    newer = write_model(tmp_path / "newer", moved(random_tensors(0), 3), shards=2)
    (newer / "config.json").write_bytes((newer / "config.json").read_bytes().replace(b"llama", b"gemma"))
    hub.publish("someone/base", newer)
    hub.faults = [Fault("HEAD .*/config.json", times=1, status=503)]
    status, _, errors = fetched_from_hub(project, hub, "someone/base")
    assert (status, errors) == (0, "")
    assert contents(project / BASE) == contents(newer)


def test_ctrl_c_ends_a_slow_download_at_once(hub: HubServer, source: Path, tmp_path: Path) -> None:
    (source / "vocab.txt").write_bytes(bytes(60_000_000))
    hub.publish("someone/base", source)
    project = tmp_path / "project"
    write_params(project, "someone/base")
    hub.pause = 0.001  # many seconds for the vocabulary
    process = interrupted(project, hub, signal.SIGINT, 0.5)
    _, errors = process.communicate(timeout=50)
    assert (process.returncode, errors) == (130, "interrupted: run the same command again to go on where it stopped\n")
    assert (project / PARTIAL).exists()
    assert not (project / PARTIAL / "vocab.txt").exists()
    assert not (project / BASE).exists()


def test_a_terminal_shows_how_far_it_is(hub: HubServer, source: Path, tmp_path: Path) -> None:
    (source / "vocab.txt").write_bytes(bytes(400_000))
    hub.publish("someone/base", source)
    project = tmp_path / "project"
    write_params(project, "someone/base")
    hub.pause = 0.02
    ours, theirs = pty.openpty()
    process = started(project, hub, out=theirs, TERM="xterm")
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal ends with the process
        while piece := os.read(ours, 65536):
            shown += piece
    os.close(ours)
    assert process.wait(timeout=60) == 0
    assert b"downloading someone/base" in shown
    assert b"MB" in shown or b"kB" in shown
    assert shown.endswith(b"fetched base from someone/base\r\n")
