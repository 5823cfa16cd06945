"""`serve` as a user starts it, with the toy night, and what Prefect's database knows of its runs."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import PREFECT_API_URL, temporary_settings

from tests.conftest import ROOT


class Toy:
    """A folder with a repository and a workspace, and a port for the server."""

    def __init__(self, folder: Path) -> None:
        self.repository, self.workspace, self.home = folder / "repository", folder / "workspace", folder / "prefect"
        self.workspace.mkdir(parents=True)
        subprocess.run(["git", "init", "-q", str(self.repository)], check=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"

    @property
    def hold(self) -> Path:
        """While it is there, nights do not end."""
        return self.workspace / "hold"

    def nights(self) -> list[str]:
        """What the nights wrote down."""
        file = self.workspace / "nights"
        return file.read_text().splitlines() if file.exists() else []

    def starts(self) -> list[int]:
        """The processes of the nights that were begun."""
        return [int(line.split()[1]) for line in self.nights() if line.startswith("start")]

    def environment(self) -> dict[str, str]:
        """Everything quicker than for months: a look for due runs each second, and for late ones."""
        quick = {
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "1",
            "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "1",
            "PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS": "1",
        }
        return {**os.environ, **quick, "PREFECT_HOME": str(self.home)}

    @contextmanager
    def serve(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Serve, from when it says so, until the end of the block at the latest."""
        places = ["--repository", str(self.repository), "--workspace", str(self.workspace), "--port", str(self.port)]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.flows.serving.serve_toy", *places, *arguments],
            cwd=ROOT,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=90)

    @contextmanager
    def client(self) -> Iterator[SyncPrefectClient]:
        """A client of the server that `serve` started."""
        with temporary_settings({PREFECT_API_URL: self.url}), get_client(sync_client=True) as client:
            yield client

    def answers(self) -> bool:
        """Whether the server is there."""
        try:
            return httpx.get(f"{self.url}/health").is_success
        except httpx.TransportError:
            return False

    def runs(self, flow: str = "toy") -> list[FlowRun]:
        """The flow's runs that are due, the first one first."""
        of_flow = FlowFilter(name=FlowFilterName(any_=[flow]))
        with self.client() as client:
            runs = client.read_flow_runs(flow_filter=of_flow, sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=200)
        return [run for run in runs if run.state_name != "Scheduled"]

    def names(self) -> list[str | None]:
        """The names of their states."""
        return [run.state_name for run in self.runs()]


def free_port() -> int:
    """A port on which nobody listens at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait for something that is to come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)


def said(process: subprocess.Popen[str], text: str) -> str:
    """The line of a process that has the text, waited for."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return line
    raise AssertionError("".join(lines))


def kill_all(process: subprocess.Popen[str], *others: int) -> None:
    """Take the power from a process, what it started, and others."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for member in [*family, *map(psutil.Process, others)]:
        if member.is_running():
            member.kill()
    process.wait()


def server_of(process: subprocess.Popen[str]) -> psutil.Process:
    """The server that `serve` keeps."""
    children = psutil.Process(process.pid).children()
    return next(child for child in children if "flows.server" in child.cmdline())


def is_gone(pid: int) -> bool:
    """Whether a process has ended."""
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
