"""When nights are due: of which date a run's night is, and whether a later run makes it as well.

A machine that was off for a week has seven runs waiting when it is back, and one night to make.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.context import FlowRunContext

CATCH_UP = "catch-up"
"""The tag of a run that was created because one of the schedule was missed or did not end."""

LOOKED_AT = 100
"""How many of a deployment's runs are looked at, from the latest back."""

WINDOWS = tuple(timedelta(minutes=minutes) for minutes in (1, 60, 24 * 60, 8 * 24 * 60, 62 * 24 * 60, 1500 * 24 * 60))
"""How far back an occurrence is looked for, in turn: Prefect lists no more than a thousand from a time on."""


def superseded() -> str | None:
    """Why this run has nothing to do: a later run of the same deployment, with the same parameters, is due as well.

    Returns:
        The reason; or None when it is the latest, or was not started by a deployment.
    """
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.deployment_id is None:
        return None
    with get_client(sync_client=True) as client:
        return reason_to_skip(run, due_runs(client, run.deployment_id))


def reason_to_skip(run: FlowRun, due: Sequence[FlowRun]) -> str | None:
    """Why a run has nothing to do, given the runs of its deployment that are due; the latest comes first."""
    for other in due:
        if other.id == run.id:
            return None
        if is_waiting(other) and other.parameters == run.parameters:
            return f"the run that was due at {other.expected_start_time:%Y-%m-%d %H:%M %Z} makes this night as well"
    return None


def due_runs(client: SyncPrefectClient, deployment: Any) -> list[FlowRun]:
    """The runs of a deployment that were to start before now, the latest first."""
    now = datetime.now(UTC)
    runs = client.read_flow_runs(
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment])),
        flow_run_filter=FlowRunFilter(
            expected_start_time=FlowRunFilterExpectedStartTime.model_validate({"before_": now})
        ),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        limit=LOOKED_AT,
    )
    return list(runs)


def is_forgotten(client: SyncPrefectClient, deployment: DeploymentResponse) -> bool:
    """Whether Prefect's server plans no run of it, although it has a schedule: its scheduler is off, or fails."""
    planned = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        expected_start_time=FlowRunFilterExpectedStartTime.model_validate({"after_": datetime.now(UTC)}),
    )
    of_deployment = DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))
    due = next_occurrence(deployment, datetime.now(UTC))
    return due is not None and not client.read_flow_runs(
        deployment_filter=of_deployment, flow_run_filter=planned, limit=1
    )


def is_waiting(run: FlowRun) -> bool:
    """Whether it has not started yet."""
    return run.state is not None and (run.state.is_scheduled() or run.state.is_pending())


def night_date(timezone: str) -> date:
    """The date of this run's night: that of the schedule's last occurrence, however late the run is; else today."""
    zone = ZoneInfo(timezone)
    now = datetime.now(UTC)
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.deployment_id is None or not is_scheduled(run):
        return now.astimezone(zone).date()
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment(run.deployment_id)
    # Its own time counts too: where the server's clock is ahead, it is later than the last occurrence by this one.
    times = [time for time in (last_occurrence(deployment, now), run.expected_start_time) if time is not None]
    return max(times, default=now).astimezone(zone).date()


def is_scheduled(run: FlowRun) -> bool:
    """Whether it was started by the clock and not by a person."""
    return run.auto_scheduled or CATCH_UP in run.tags


def last_occurrence(deployment: DeploymentResponse, now: datetime) -> datetime | None:
    """When the deployment was last due by its schedules; None when it never was, or they are paused."""
    found: list[datetime] = []
    for schedule in active_schedules(deployment):
        for window in WINDOWS:
            times = sorted(occurrences(schedule, start=now - window, end=now))
            if times:
                found.append(times[-1])
                break
    return max(found, default=None)


def next_occurrence(deployment: DeploymentResponse, now: datetime) -> datetime | None:
    """When the deployment is due next; None when it never is, or is paused."""
    return min((time for schedule in active_schedules(deployment) for time in first(schedule, now)), default=None)


def first(schedule: Any, now: datetime) -> list[datetime]:
    """The first occurrence after now, if there is one."""
    return [time for time in occurrences(schedule, start=now, n=2) if time > now][:1]


def active_schedules(deployment: DeploymentResponse) -> list[Any]:
    """The schedules by which Prefect starts runs now."""
    return [] if deployment.paused else [held.schedule for held in deployment.schedules if held.active]


def occurrences(schedule: Any, *, start: datetime, end: datetime | None = None, n: int | None = None) -> list[datetime]:
    """The times of a schedule, as Prefect's own scheduler reckons them, across changes of the clock too."""
    from prefect.server.schemas import schedules

    reckoner: Any = getattr(schedules, type(schedule).__name__)(**schedule.model_dump())
    times: Iterable[datetime] = reckoner._get_dates_generator(n=n, start=start, end=end)
    return [datetime.fromtimestamp(time.timestamp(), UTC) for time in times]
