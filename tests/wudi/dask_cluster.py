"""A Dask cluster on the loopback address: a scheduler and its workers, each a process of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from distributed import Client

from tests.conftest import ROOT

QUIET = ["--host=127.0.0.1", "--no-dashboard"]


class DaskCluster:
    """A scheduler on a free port, with as many workers as are started, while a `with` block lasts."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = environment
        self.processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        told = self.folder / "scheduler.json"
        self.scheduler = self.start("scheduler", "--port=0", f"--scheduler-file={told}", **self.environment)
        wait_until(lambda: told.is_file() and told.read_text().rstrip().endswith("}"))
        self.address = json.loads(told.read_text())["address"]
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()

    def worker(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start a worker that nobody starts again when it dies."""
        count = len(self.workers())
        flags = ["--no-nanny", "--nthreads=1", "--memory-limit=0", f"--local-directory={self.folder}"]
        process = self.start("worker", self.address, *flags, **environment)
        wait_until(lambda: len(self.workers()) > count)
        return process

    def start(self, *words: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start `dask` with some words."""
        path = os.pathsep.join(filter(None, [environment.pop("PYTHONPATH", ""), str(ROOT)]))
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *words, *QUIET],
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **environment},
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process

    def workers(self) -> dict[int, dict[str, Any]]:
        """What the scheduler knows of each worker, by its process."""
        with Client(self.address, set_as_default=False) as client:
            pids = client.run(os.getpid, on_error="ignore")
            tasks = client.processing()
        return {pid: {"address": address, "tasks": tasks.get(address, ())} for address, pid in pids.items()}

    def is_busy(self, worker: subprocess.Popen[bytes]) -> bool:
        """Whether a worker writes a shard."""
        tasks = self.workers().get(worker.pid, {}).get("tasks", ())
        return any(task.startswith("written") for task in tasks)


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something that comes soon, or never."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
