"""A night that only writes down that it was made, and stays at work for as long as a file `hold` is there."""

import os
import time
from datetime import date
from pathlib import Path
from typing import Any

from prefect import State, flow, task
from prefect.states import Completed

from flows.serving.crashed import claim
from flows.serving.schedule import night_date, superseded


@flow(name="toy", persist_result=False, on_running=[claim])
def toy(
    repository: str,
    workspace: str,
    branch: str = "main",
    results: str = "nightly",
    workers: int = 2,
    scheduler: str | None = None,
    timezone: str = "UTC",
    night: date | None = None,
) -> State[Any]:
    """Write a line at the start and one at the end."""
    newer = superseded()
    if newer is not None:
        return Completed(name="Skipped", message=newer)
    note(workspace, f"start {os.getpid()} {night or night_date(timezone)}")
    inner(workspace)
    note(workspace, f"end {os.getpid()}")
    return Completed(message=f"{repository} {branch} {results} {workers} {scheduler}")


@flow(persist_result=False)
def inner(workspace: str) -> None:
    """A flow in the flow."""
    work(workspace)


@task(persist_result=False)
def work(workspace: str) -> None:
    """A task that takes its time."""
    while (Path(workspace) / "hold").exists():
        time.sleep(0.05)


def note(workspace: str, line: str) -> None:
    """Add a line to what was done."""
    with (Path(workspace) / "nights").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
