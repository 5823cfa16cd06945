"""Running the flow in tests: in this process, or by its command, and looking at what Prefect knows of it."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, LogFilter, LogFilterTaskRunId
from prefect.client.schemas.objects import FlowRun, TaskRun
from prefect.client.schemas.sorting import FlowRunSort, LogSort, TaskRunSort

from flows.pipeline import pipeline
from tests.conftest import ROOT

Repository = Callable[..., Path]


def outcomes(root: Path, *targets: str, **options: object) -> dict[str, str]:
    """Run the flow in this process and return how each stage ended."""
    return {name: report.outcome for name, report in pipeline(root, targets, **options).items()}


def last_flow_run(client: SyncPrefectClient) -> FlowRun:
    """The flow run that was started last."""
    return client.read_flow_runs(sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=1)[0]


def recorded_tasks(names: set[str]) -> dict[str, TaskRun]:
    """The last flow run's tasks, once Prefect's server, which records in batches, knows the ends of all of them."""
    with get_client(sync_client=True) as client:
        last = last_flow_run(client)
        for _ in range(100):
            of_flow = FlowRunFilter(id=FlowRunFilterId(any_=[last.id]))
            runs = client.read_task_runs(flow_run_filter=of_flow, sort=TaskRunSort.END_TIME_DESC, limit=200)
            tasks = {run.name: run for run in runs}
            if names <= set(tasks) and all(run.state_name not in ("Pending", "Running") for run in tasks.values()):
                break
            time.sleep(0.2)
        return tasks


def logged_lines(task: TaskRun, awaited: str) -> list[str]:
    """A task's log, once a line is in it: lines are sent in batches."""
    of_task = LogFilter(task_run_id=LogFilterTaskRunId(any_=[task.id]))
    with get_client(sync_client=True) as client:
        for _ in range(100):
            lines = [log.message for log in client.read_logs(of_task, sort=LogSort.TIMESTAMP_ASC, limit=200, offset=0)]
            if awaited in lines:
                break
            time.sleep(0.1)
        return lines


@contextmanager
def command(root: Path, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """The command as a user starts it, in a process group of its own like a terminal's job."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.pipeline", "--root", str(root), *arguments],
        cwd=ROOT,
        env={**os.environ, "PREFECT_HOME": str(root.parent.parent / "prefect"), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(120)


def wait_for(path: Path, process: subprocess.Popen[str]) -> str:
    """The text of a file that a stage of the running command is to write."""
    for _ in range(600):
        if path.is_file() and (text := path.read_text().strip()):
            return text
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    raise AssertionError(f"{path} was not written")


def is_gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def after(path: Path, act: Callable[[int], None]) -> Iterator[list[int]]:
    """While the block runs, wait for the process number that a stage writes to a file, then act on it."""
    seen: list[int] = []

    def watch() -> None:
        for _ in range(600):
            if path.is_file() and (text := path.read_text().strip()):
                seen.append(int(text))
                act(seen[0])
                return
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        watcher.join()
    assert seen, f"{path} was not written"
