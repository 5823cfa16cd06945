"""Keep a deployment served for months: Prefect's Runner, beside a server of its own where there is no other."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from filelock import FileLock, Timeout
from prefect import Flow, get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron, Interval, Schedule
from prefect.settings import get_current_settings

from flows.server import NoServer, api
from flows.serving.crashed import at_work, mark_crashed
from flows.serving.lasting import LastingServer
from flows.serving.missed import catch_up, find_deployment, mark_stopped, owed, skip_superseded
from flows.serving.runner import Serving, load_flow
from flows.serving.schedule import is_forgotten, next_occurrence
from tasks.console import step, warn
from wudi.errors import WudiError

SETTLE_SECONDS = 30.0
"""How often runs without a process and missed nights are looked for."""

FIRST_SETTLE_SECONDS = 60.0
"""When that is done first: early enough to hear of a server that plans no runs."""

OUTAGES = (httpx.HTTPError, NoServer, ObjectNotFound)
"""What it looks like when Prefect's server is away for a while, or what was just read has been deleted there."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to serve, and when."""

    flow: str
    name: str
    parameters: dict[str, Any]
    cron: str | None
    interval: int | None
    timezone: str

    @property
    def schedule(self) -> Schedule:
        """When it is due. An interval is counted from a midnight, so that a restart does not shift it."""
        if self.cron is not None:
            return Cron(self.cron, timezone=self.timezone)
        midnight = datetime(2020, 1, 1, tzinfo=ZoneInfo(self.timezone))
        return Interval(timedelta(seconds=self.interval or 0), anchor_date=midnight, timezone=self.timezone)


PAUSED = "paused in Prefect, and no night is made until it is resumed there"
"""What the line at the start says of a deployment without a next night."""


@contextmanager
def alone(flow: str, name: str) -> Iterator[None]:
    """Keep others on this machine from serving the same deployment.

    Raises:
        WudiError: Another does.
    """
    home = get_current_settings().home
    home.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(home / f"serve-{flow}-{name}.lock", timeout=0):
            yield
    except Timeout:
        raise WudiError(
            f"{flow}/{name} is served on this machine already: end that, or choose another --name"
        ) from None


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that the signals of a terminal and of a service manager set, the first time that they come."""
    stopping = threading.Event()

    def stop(*_: Any) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def serve_nights(order: Order, port: int) -> None:
    """Serve until SIGINT or SIGTERM; a night at work is stopped then, and goes on when this is started again.

    Raises:
        WudiError: The schedule is never due, the port is taken, or Prefect does not answer.
    """
    flow = load_flow(order.flow)
    server = LastingServer(port)
    with (
        alone(flow.name, order.name),
        api(verbose=False, own=server.start) as url,
        get_client(sync_client=True) as client,
        stop_signals() as stopping,
    ):
        served = Served(client, flow, order)
        serving = Serving(flow, order.name, order.schedule, order.parameters)
        try:
            begin(served, serving, url)
            keep_up(served, serving, server, stopping)
        finally:
            served.end(serving)


def begin(served: "Served", serving: Serving, url: str) -> None:
    """Put in order what was left by the last time, and start.

    Raises:
        NoServer: Prefect's API went away meanwhile.
    """
    try:
        # Before the start, which makes the schedules anew: new ones owe nothing, should this be killed in between.
        served.make_up(served.settle(at_start=True), at_start=True)
        serving.start()
        served.tell(url)
    except httpx.HTTPError as error:
        raise NoServer(f"Prefect's API at {url} does not answer any more: {error}") from error


def keep_up(served: "Served", serving: Serving, server: LastingServer, stopping: threading.Event) -> None:
    """Look after the server, the Runner and the runs, until told to stop."""
    settle_at = time.monotonic() + FIRST_SETTLE_SECONDS
    while not stopping.wait(1.0):
        server.keep()
        serving.keep()
        if time.monotonic() >= settle_at:
            settle_at = time.monotonic() + SETTLE_SECONDS
            with suppress(*OUTAGES):
                served.make_up(served.settle(at_start=False), at_start=False)


class Served:
    """The deployment and its runs, as Prefect knows them."""

    def __init__(self, client: SyncPrefectClient, flow: Flow[Any, Any], order: Order) -> None:
        self._client = client
        self._flow = flow
        self._order = order
        self._name = f"{flow.name}/{order.name}"

    def settle(self, *, at_start: bool) -> str | None:
        """Set runs whose process is gone to Crashed, skip those that a later one makes up for.

        Returns:
            Why a night is to be made now, apart from the schedule; None, when nothing was missed.
        """
        deployment = find_deployment(self._client, self._name)
        if deployment is not None and not at_start and is_forgotten(self._client, deployment):
            warn("Prefect's server has no run of this schedule in its plan: its log says why, or none will start")
        idle = deployment.id if deployment is not None and at_start else None
        for run in mark_crashed(self._client, self._flow.name, idle):
            warn(f"{run.name} had crashed")
        if deployment is None:
            return None
        skip_superseded(self._client, deployment.id)
        return owed(self._client, deployment)

    def make_up(self, missed: str | None, *, at_start: bool) -> None:
        """Have a night made now, if one was missed; at the start, the deployment has yet to get its new parameters."""
        deployment = find_deployment(self._client, self._name)
        if missed is not None and deployment is not None:
            step(f"{missed}: it is made now")
            catch_up(self._client, deployment.id, self._order.parameters if at_start else deployment.parameters)

    def tell(self, url: str) -> None:
        """Say when the next night is, and where it can be watched."""
        deployment = find_deployment(self._client, self._name)
        due = next_occurrence(deployment, datetime.now(UTC)) if deployment else None
        zone = self._order.timezone
        when = f"the next night is {due.astimezone(ZoneInfo(zone)):%a %d %b %H:%M} ({zone})" if due else PAUSED
        step(f"serving {self._name}: {when}; runs are shown at {url.removesuffix('/api')}")

    def end(self, serving: Serving) -> None:
        """Have the night at work stopped, and leave it to be gone on with."""
        runs: list[FlowRun] = []
        with suppress(*OUTAGES):
            deployment = find_deployment(self._client, self._name)
            found = at_work(self._client, self._flow.name)
            runs = [run for run in found if deployment is not None and run.deployment_id == deployment.id]
        if runs:
            step("stopping the night at work; it goes on when this is started again")
        serving.stop()
        with suppress(*OUTAGES):
            for run in runs:
                mark_stopped(self._client, run)
