"""What a machine that was off, or a night that did not end, left undone: one run makes up for all of it."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelled, Completed

from flows.serving.crashed import set_state
from flows.serving.schedule import CATCH_UP, due_runs, is_scheduled, is_waiting, last_occurrence, reason_to_skip

STOPPED = "Stopped"
"""The name of the state in which the end of `serve` leaves a run; one that a person cancelled is called Cancelled."""


def find_deployment(client: SyncPrefectClient, name: str) -> DeploymentResponse | None:
    """A deployment by its full name, FLOW/NAME."""
    try:
        return client.read_deployment_by_name(name)
    except ObjectNotFound:
        return None


def owed(client: SyncPrefectClient, deployment: DeploymentResponse) -> str | None:
    """Why a night is to be made now, apart from the schedule; None when nothing was missed.

    A night that crashed or was stopped is owed, and so is the last one that was due while nobody served. A night that
    failed, or that a person cancelled, was made. One that crashes again when it is made up for is let be until the
    next is due: it may be the cause. What a person started with parameters of its own is no night.
    """
    known = due_runs(client, deployment.id)
    runs = [run for run in known if is_scheduled(run) or run.parameters == deployment.parameters]
    last = runs[0] if runs else None
    if deployment.paused or (last is not None and (is_waiting(last) or is_running(last))):
        return None
    if last is not None and was_interrupted(last):
        return f"the night that was due at {time_of(last):%Y-%m-%d %H:%M %Z} did not end"
    due = last_occurrence(deployment, datetime.now(UTC))
    known_since = min((held.created for held in deployment.schedules if held.created), default=None)
    if due is None or known_since is None or due <= known_since:
        return None
    if last is not None and max(time_of(last), last.start_time or time_of(last)) >= due:
        return None
    return f"the night that was due at {due:%Y-%m-%d %H:%M %Z} was missed"


def time_of(run: FlowRun) -> datetime:
    """When it was to start."""
    assert run.expected_start_time is not None
    return run.expected_start_time


def is_running(run: FlowRun) -> bool:
    """Whether a process is at it."""
    return run.state is not None and (run.state.is_running() or run.state.is_cancelling())


def was_interrupted(run: FlowRun) -> bool:
    """Whether it ended in the middle, through no decision of anybody's, and may well end next time."""
    if run.state is None:
        return False
    crashed_once = run.state.is_crashed() and CATCH_UP not in run.tags
    return crashed_once or (run.state.is_cancelled() and run.state.name == STOPPED)


def catch_up(client: SyncPrefectClient, deployment: UUID, parameters: Mapping[str, Any]) -> FlowRun:
    """Have a night made now; its parameters are those that the deployment has, or is about to have."""
    return client.create_flow_run_from_deployment(deployment, parameters=dict(parameters), tags=[CATCH_UP])


def skip_superseded(client: SyncPrefectClient, deployment: UUID) -> None:
    """Set the runs that wait, all but the latest, to Completed by the name of Skipped.

    Each would find that out for itself (`flows.serving.schedule.superseded`), in a process of its own.
    """
    runs = due_runs(client, deployment)
    for run in runs:
        if run.state is not None and run.state.is_scheduled():
            reason = reason_to_skip(run, runs)
            if reason is not None:
                set_state(client, run.id, Completed(name="Skipped", message=reason))


def mark_stopped(client: SyncPrefectClient, run: FlowRun) -> None:
    """Name the state of a run that the end of `serve` has ended."""
    with suppress(ObjectNotFound):  # somebody has deleted it meanwhile
        state = client.read_flow_run(run.id).state
        if state is not None and (state.is_cancelled() or state.is_crashed() or state.is_cancelling()):
            message = "stopped together with `serve`: goes on when that is started again"
            set_state(client, run.id, Cancelled(name=STOPPED, message=message))
