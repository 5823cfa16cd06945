"""Runs whose process is gone: killed without a word, or down with the machine. Prefect shows them as running for ever.

A run writes down where it is, `HOST:PID`; whoever serves next on that machine looks whether it is still there. Runs of
a work pool belong to its worker, and are watched by their heartbeats (`flows.serving.heartbeat`).
"""

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import psutil
from prefect import Flow, get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterParentFlowRunId,
    FlowRunFilterParentTaskRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Crashed

AT_WORK = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
"""The states of a run that has a process."""

SLACK = 60.0
"""Seconds by which a clock may have been set between a process's start and that of its run."""

BATCH = 200
"""Runs that Prefect returns at once."""


def claim(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - as Prefect calls it
    """Write down which process makes a run; a hook `on_running` that every flow to be served must have.

    A served run leaves the terminal's job as well: a Ctrl-C is for `serve` alone, which ends the run in its order.
    """
    if flow_run.work_pool_name is not None or flow_run.work_queue_id is not None:
        return
    if flow_run.deployment_id is not None and os.getpid() not in (os.getpgrp(), os.getsid(0)):
        os.setsid()
    with get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, infrastructure_pid=place(os.getpid()))


def place(pid: int) -> str:
    """Where a process is."""
    return f"{socket.gethostname()}:{pid}"


def mark_crashed(client: SyncPrefectClient, flow: str, deployment: UUID | None) -> list[FlowRun]:
    """Set the flow's runs whose process on this machine is gone to Crashed, with their subflows and tasks.

    Args:
        client: Of Prefect's API.
        flow: The flow's name.
        deployment: The one that nobody serves at the moment: its runs that name no process have none.

    Returns:
        The runs.
    """
    gone = [run for run in at_work(client, flow) if is_gone(run, deployment)]
    for run in gone:
        crash(
            client,
            run,
            f"its process ({run.infrastructure_pid or 'not started yet'}) is gone: killed, or the machine went down",
        )
    return gone


def at_work(client: SyncPrefectClient, flow: str) -> list[FlowRun]:
    """The flow's runs that should have a process, without those of work pools and subflows."""
    runs = client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=AT_WORK)),
            parent_task_run_id=FlowRunFilterParentTaskRunId(is_null_=True),
        ),
        limit=BATCH,
    )
    return [run for run in runs if run.work_pool_name is None and run.work_queue_id is None]


def is_gone(run: FlowRun, deployment: UUID | None) -> bool:
    """Whether its process was on this machine and is no longer."""
    if run.infrastructure_pid is None:
        return deployment is not None and run.deployment_id == deployment
    host, _, pid = run.infrastructure_pid.rpartition(":")
    return host == socket.gethostname() and pid.isdecimal() and not is_at(int(pid), run)


def is_at(pid: int, run: FlowRun) -> bool:
    """Whether a process is the run's own, and not a later one that was given the same number."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return run.start_time is None or process.create_time() <= run.start_time.timestamp() + SLACK
    except psutil.NoSuchProcess:
        return False


def crash(client: SyncPrefectClient, run: FlowRun, message: str) -> None:
    """Set a run to Crashed, after all that runs in it."""
    for inner in subflows(client, run.id):
        crash(client, inner, message)
    of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
    unended = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=AT_WORK)))
    for task in client.read_task_runs(flow_run_filter=of_run, task_run_filter=unended, limit=BATCH):
        client.set_task_run_state(task.id, Crashed(message=message), force=True)
    set_state(client, run.id, Crashed(message=message))


def set_state(client: SyncPrefectClient, run: UUID, state: State[Any]) -> None:
    """Set a run's state, whatever it was; one that somebody has deleted meanwhile is let be."""
    with suppress(ObjectNotFound):
        client.set_flow_run_state(run, state, force=True)


def subflows(client: SyncPrefectClient, run: UUID) -> Iterator[FlowRun]:
    """The flow runs within a run that have not ended."""
    within = FlowRunFilter(
        parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[run]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=AT_WORK)),
    )
    yield from client.read_flow_runs(flow_run_filter=within, limit=BATCH)
