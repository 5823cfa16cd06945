"""Servers that do not start, and that no evaluation leaves behind."""

import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import psutil
import pytest

from tasks import processes
from tasks.evaluation.backends import server as evaluation_server
from tasks.evaluation.backends.server import serve
from tasks.evaluation.backends.server_process import check_command, free_port, running
from tasks.evaluation.settings import Server
from tasks.strict import ParamsError
from tests.tasks.serving import SERVER, command, settings, started_by
from wudi.errors import WudiError

FOLDER = Path("base")
"""Servers with canned answers load nothing."""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("faults", "says"),
    [
        (["--exit", "3"], r"command ended with status 3; .*base.log ends with\n  no kernel image is available"),
        (["--loading"], "command: http://.*/v1/models answers 503 after 2 s; raise evaluation.server.start_seconds"),
    ],
)
def test_a_server_that_does_not_start(faults: Sequence[str], says: str) -> None:
    evaluation = settings(command=command("--canned", "four", *faults), start_seconds=2)
    with pytest.raises(WudiError, match=says), serve(FOLDER, evaluation):
        pytest.fail("it does not answer")


def test_a_port_that_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(evaluation_server, "free_port", lambda: taken.getsockname()[1])
        evaluation = settings(command=command("--canned", "four"))
        with pytest.raises(WudiError, match="Address already in use"), serve(FOLDER, evaluation):
            pytest.fail("another one listens there")


@pytest.mark.parametrize(
    ("text", "says"),
    [("no-such-server {model} {port}", "no program 'no-such-server'"), ("sh '{model} {port}", "close quotes")],
)
def test_commands_that_are_none(text: str, says: str) -> None:
    with pytest.raises(ParamsError, match=says):
        check_command(Server(command=text))


def test_nobody_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation_server, "PATIENCE", 0)
    evaluation = settings(url=f"http://127.0.0.1:{free_port()}/v1")
    with pytest.raises(WudiError, match=r"does not answer .*; start the server"), serve(FOLDER, evaluation):
        pytest.fail("nobody is there")


SERVED = [*SERVER, "--model", ".", "--port", str(free_port()), "--canned", "four", "--pids", "pids"]
EVALUATING = """
import signal, sys, time
from tasks.evaluation.backends.server_process import running
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as at a terminal, also where nohup runs the tests
with running(sys.argv[1:], "model"):
    print("up", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_no_server_outlives_its_evaluation(end: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", EVALUATING, *SERVED], stderr=subprocess.DEVNULL) as evaluating:
        started = started_by(Path("pids"))
        evaluating.send_signal(end)
        evaluating.wait(timeout=60)
    psutil.wait_procs(started, timeout=60)
    assert not any(processes.runs(process) for process in started)


@pytest.mark.parametrize("error", [None, WudiError, KeyboardInterrupt])
def test_no_server_outlives_its_block(error: type[BaseException] | None) -> None:
    with pytest.raises(error) if error else nullcontext(), running(SERVED, "model") as process:
        started = started_by(Path("pids"))
        process.check()
        assert all(processes.runs(process) for process in started)
        if error is not None:
            raise error
    assert not any(processes.runs(process) for process in started)
