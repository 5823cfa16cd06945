import socket
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.flow_engine import run_flow
from prefect.schedules import Schedule
from prefect.states import Cancelled, Completed, Crashed, Failed, Running, Scheduled

from flows.server import NoServer
from flows.serving.crashed import crash, is_at, mark_crashed
from flows.serving.missed import STOPPED, catch_up, mark_stopped, owed, skip_superseded
from flows.serving.runner import Serving
from flows.serving.schedule import CATCH_UP, due_runs, is_forgotten, last_occurrence, next_occurrence
from flows.serving.service import Order, Served, begin
from tests.flows.serving.toy_night import toy

BERLIN = ZoneInfo("Europe/Berlin")
Deploy = Callable[..., UUID]


@pytest.fixture
def client(server: str) -> Iterator[SyncPrefectClient]:
    assert server
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def deploy(client: SyncPrefectClient, tmp_path: Path) -> Deploy:
    """Register the toy night under a name of its own."""
    parameters = {"repository": str(tmp_path), "workspace": str(tmp_path)}

    def register(schedule: Any = None, **more: Any) -> UUID:
        schedules = [DeploymentScheduleCreate(schedule=schedule)] if schedule else []
        return client.create_deployment(
            client.create_flow(toy), name=str(uuid4()), schedules=schedules, parameters={**parameters, **more}
        )

    return register


def late(client: SyncPrefectClient, deployment: UUID, hours: float, **more: Any) -> FlowRun:
    """A run that was due some hours ago."""
    due = Scheduled(scheduled_time=datetime.now(UTC) - timedelta(hours=hours))
    return client.create_flow_run_from_deployment(deployment, state=due, **more)


def made(client: SyncPrefectClient, run: FlowRun) -> State[Any]:
    """Have a run made in this process, and return its end."""
    # Without the hook by which a served run leaves the terminal's job: here the tests would.
    here = toy.with_options(on_running=[lambda *_: None])
    run_flow(here, flow_run=run, parameters=run.parameters, return_type="state")
    state = client.read_flow_run(run.id).state
    assert state is not None
    return state


@pytest.mark.parametrize("day", ["2026-03-28", "2026-10-24"])
def test_a_night_is_at_its_hour_when_the_clocks_change(client: SyncPrefectClient, deploy: Deploy, day: str):
    deployment = client.read_deployment(deploy(CronSchedule(cron="30 4 * * *", timezone="Europe/Berlin")))
    for hour in range(96):
        now = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(hours=hour)
        last, following = last_occurrence(deployment, now), next_occurrence(deployment, now)
        assert last is not None and following is not None
        assert last <= now < following <= last + timedelta(hours=25)
        for time in (last.astimezone(BERLIN), following.astimezone(BERLIN)):
            assert (time.hour, time.minute) == (4, 30)


def test_an_interval_is_counted_from_midnight_whenever_it_is_begun():
    order = Order(flow="", name="", parameters={}, cron=None, interval=6 * 3600, timezone="Europe/Berlin")
    first, second = order.schedule, order.schedule
    assert isinstance(first, Schedule)
    assert first == second
    assert first.anchor_date.astimezone(BERLIN).hour == 0


def test_occurrences_are_found_however_long_ago(client: SyncPrefectClient, deploy: Deploy):
    now = datetime(2026, 6, 15, 12, tzinfo=UTC)
    for cron, last in {
        "* * * * *": now,
        "0 2 * * *": datetime(2026, 6, 15, 2, tzinfo=UTC),
        "0 0 1 1 *": datetime(2026, 1, 1, tzinfo=UTC),
        "0 0 29 2 *": datetime(2024, 2, 29, tzinfo=UTC),
    }.items():
        assert last_occurrence(client.read_deployment(deploy(CronSchedule(cron=cron))), now) == last
    anchor = datetime(2020, 1, 1, tzinfo=UTC)
    seconds = IntervalSchedule(interval=timedelta(seconds=7), anchor_date=anchor)
    found = last_occurrence(client.read_deployment(deploy(seconds)), now)
    assert (
        found is not None
        and now - found < timedelta(seconds=7)
        and (found - anchor) % timedelta(seconds=7) == timedelta()
    )
    assert last_occurrence(client.read_deployment(deploy()), now) is None


def test_of_the_runs_that_wait_the_latest_makes_the_night(client: SyncPrefectClient, deploy: Deploy, tmp_path: Path):
    zone = "Pacific/Kiritimati"
    deployment = deploy(CronSchedule(cron="0 2 * * *", timezone=zone), timezone=zone)
    runs = [late(client, deployment, hours, tags=[CATCH_UP]) for hours in (72, 48, 24)]
    assert [made(client, run).name for run in runs] == ["Skipped", "Skipped", "Completed"]
    last = last_occurrence(client.read_deployment(deployment), datetime.now(UTC))
    assert last is not None
    start, end = (tmp_path / "nights").read_text().splitlines()
    assert start.split()[2] == str(last.astimezone(ZoneInfo(zone)).date())
    assert end.startswith("end")


def test_a_run_by_hand_is_of_today_there(client: SyncPrefectClient, deploy: Deploy, tmp_path: Path):
    for zone in ("Pacific/Kiritimati", "Pacific/Niue"):
        before = datetime.now(ZoneInfo(zone)).date()
        assert made(client, late(client, deploy(timezone=zone), 0)).name == "Completed"
        assert str(before) <= (tmp_path / "nights").read_text().splitlines()[-2].split()[2]


def test_those_that_wait_are_skipped_without_a_process(client: SyncPrefectClient, deploy: Deploy):
    deployment = deploy()
    other = late(client, deployment, 20, parameters={"night": "2026-01-01"})
    runs = [late(client, deployment, hours) for hours in (30, 10, 1)]
    skip_superseded(client, deployment)
    assert [client.read_flow_run(run.id).state_name for run in (other, *runs)] == [
        "Scheduled",
        "Skipped",
        "Skipped",
        "Scheduled",
    ]


@pytest.mark.parametrize(
    ("state", "tags", "is_owed"),
    [
        (Crashed(), [], True),
        (Crashed(), [CATCH_UP], False),
        (Cancelled(name=STOPPED), [CATCH_UP], True),
        (Cancelled(), [], False),
        (Failed(), [], False),
        (Completed(name="Skipped"), [], False),
        (Running(), [], False),
        (None, [], False),
    ],
)
def test_only_what_was_interrupted_is_owed(
    client: SyncPrefectClient, deploy: Deploy, state: State[Any] | None, tags: list[str], is_owed: bool
):
    deployment = deploy()
    late(client, deployment, 20)
    run = late(client, deployment, 1, tags=tags)
    if state is not None:
        client.set_flow_run_state(run.id, state, force=True)
    assert (owed(client, client.read_deployment(deployment)) is not None) == is_owed
    client.pause_deployment(deployment)
    assert owed(client, client.read_deployment(deployment)) is None


def test_a_run_with_parameters_of_its_own_is_no_night(client: SyncPrefectClient, deploy: Deploy):
    deployment = deploy()
    night = late(client, deployment, 2)
    by_hand = late(client, deployment, 1, parameters={"night": "2026-01-01"})
    client.set_flow_run_state(by_hand.id, Crashed(), force=True)
    client.set_flow_run_state(night.id, Completed(), force=True)
    assert owed(client, client.read_deployment(deployment)) is None
    client.set_flow_run_state(night.id, Crashed(), force=True)
    client.set_flow_run_state(by_hand.id, Completed(), force=True)
    assert owed(client, client.read_deployment(deployment)) is not None


def test_a_night_is_one_whatever_parameters_the_deployment_has_got_since(client: SyncPrefectClient, deploy: Deploy):
    deployment = deploy()
    night = catch_up(client, deployment, {"workers": 1})
    client.set_flow_run_state(night.id, Cancelled(name=STOPPED), force=True)
    assert owed(client, client.read_deployment(deployment)) is not None
    catch_up(client, deployment, {"workers": 1})
    assert owed(client, client.read_deployment(deployment)) is None


def test_what_is_owed_is_asked_for_before_the_schedules_are_made_anew(client: SyncPrefectClient, deploy: Deploy):
    before = client.read_deployment(deploy(CronSchedule(cron="0 2 * * *")))
    client.set_flow_run_state(late(client, before.id, 1).id, Cancelled(name=STOPPED), force=True)
    changed = {**before.parameters, "workers": 1}
    order = Order(flow="", name=before.name, parameters=changed, cron="0 2 * * *", interval=None, timezone="UTC")
    refused = Serving(toy, order.name, order.schedule, {"workers": "as many as there are"})
    with pytest.raises(NoServer, match="workers"):
        begin(Served(client, toy, order), refused, "")
    made_up = [run for run in due_runs(client, before.id) if CATCH_UP in run.tags]
    assert [run.parameters for run in made_up] == [changed]
    assert client.read_deployment(before.id).schedules == before.schedules


def test_runs_that_were_deleted_meanwhile_are_let_be(client: SyncPrefectClient, deploy: Deploy):
    run = late(client, deploy(), 1)
    client.delete_flow_run(run.id)
    mark_stopped(client, run)
    crash(client, run, "gone")


def test_a_deployment_owes_nothing_from_before_it_was_made(client: SyncPrefectClient, deploy: Deploy):
    deployment = client.read_deployment(deploy(CronSchedule(cron="0 2 * * *")))
    assert owed(client, deployment) is None
    # This server plans nothing, as one does whose scheduler fails.
    assert is_forgotten(client, deployment)


def test_runs_whose_process_is_gone_have_crashed(client: SyncPrefectClient, deploy: Deploy):
    deployment = deploy()
    with subprocess.Popen(["sleep", "30"]) as process:
        here = f"{socket.gethostname()}:{process.pid}"
        places = {"here": here, "elsewhere": "elsewhere:1", "none": None}
        runs = {}
        for name, place in places.items():
            runs[name] = late(client, deployment, 1, name=name)
            client.set_flow_run_state(runs[name].id, Running(), force=True)
            client.update_flow_run(runs[name].id, infrastructure_pid=place)
        task = client.create_task_run(task=toy_task(), flow_run_id=runs["here"].id, dynamic_key="0", state=Running())
        inner = client.create_flow_run(
            toy, parameters=runs["here"].parameters, parent_task_run_id=task.id, state=Running()
        )

        def crashed(idle: UUID | None) -> list[str]:
            return sorted(run.name for run in mark_crashed(client, "toy", idle))

        assert crashed(None) == []
        assert crashed(deployment) == ["none"]
        # A process that was begun long after the run was given the number of the run's.
        earlier = datetime.now(UTC) - timedelta(hours=2)
        run = client.read_flow_run(runs["here"].id)
        assert is_at(process.pid, run) and not is_at(process.pid, run.model_copy(update={"start_time": earlier}))
        process.kill()
        process.wait()
        assert crashed(None) == ["here"]
        assert crashed(deployment) == []
    assert client.read_flow_run(runs["elsewhere"].id).state_name == "Running"
    assert client.read_flow_run(inner.id).state_name == "Crashed"
    assert client.read_task_run(task.id).state_name == "Crashed"


def toy_task() -> Any:
    """The task of the toy night."""
    from tests.flows.serving.toy_night import work

    return work
