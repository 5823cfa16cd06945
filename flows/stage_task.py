"""The Prefect task of one stage, wherever it runs: on this machine or on a worker of a cluster."""

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from prefect import State, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext
from prefect.states import Cancelled, Completed

from flows.artifacts import publish_outputs
from flows.graph import Stage
from flows.limit import within_limit
from flows.report import StageReport, retry_line
from flows.slots import Place
from flows.stage import Order, Outcome, StageFailed, run_stage
from flows.stopping import Stopped, Stopping

MESSAGES: dict[Outcome, tuple[str, str]] = {
    "ran": ("Ran", "the command was run"),
    "restored": ("Cached", "restored from DVC's cache"),
    "unchanged": ("Cached", "nothing changed"),
}
"""The name and the message of the state that a stage ends in."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """One stage to bring up to date."""

    stage: Stage
    root: Path
    force: bool
    unchanged: bool
    """Nothing can give it work in this run."""
    remote: str | None
    """Where DVC's default remote is."""


class Site(Protocol):
    """Where a stage runs, as seen from there."""

    @property
    def stopping(self) -> Stopping:
        """Set when the run is to stop."""

    def place(self, gpus: int) -> AbstractContextManager[Place]:
        """Wait for a place and hold it; raises `Stopped`."""


# DVC owns caching: it knows what a stage read and wrote, where Prefect would compare the arguments of this call and
# take an edited params.yaml for no change.
@task(cache_policy=NO_CACHE, persist_result=False)
def stage_task(work: Work, site: Site) -> State[StageReport]:
    """Wait for a place, run the stage, and name the state after what happened."""
    name = work.stage.name
    if work.unchanged:
        return ended(name, "unchanged", 0.0)
    began = time.monotonic()
    try:
        pause(work.stage, site.stopping)
        with limit(work.stage, site.stopping), site.place(work.stage.gpus) as place:
            began = time.monotonic()
            outcome = run_stage(order(work, place), on_line=get_run_logger().info, stopping=site.stopping)
    except Stopped:
        report = StageReport(stage=name, outcome="stopped", seconds=time.monotonic() - began)
        return Cancelled(message="stopped with the run", data=report)
    except StageFailed as error:
        error.seconds = time.monotonic() - began
        announce_retry(work.stage)
        raise
    seconds = time.monotonic() - began
    if outcome != "unchanged":
        publish(work)
    return ended(name, outcome, seconds)


def order(work: Work, place: Place) -> Order:
    """What `dvc repro` is to do, and where."""
    return Order(
        stage=work.stage.name,
        root=work.root,
        limit=work.stage.settings.limit,
        force=work.force,
        variables=place.variables,
        held=place.held,
    )


def ended(stage: str, outcome: Outcome, seconds: float) -> State[StageReport]:
    """The state of a stage that is up to date."""
    name, message = MESSAGES[outcome]
    report = StageReport(stage=stage, outcome=outcome, seconds=seconds)
    state: State[Any] = Completed(name=name, message=message, data=report)
    return state


def attempt_number() -> int:
    """Which attempt of its task this is, from 1."""
    context = TaskRunContext.get()
    return context.task_run.run_count if context else 1


def pause(stage: Stage, stopping: Stopping) -> None:
    """Wait before another attempt, here and not in Prefect, which sleeps through a Ctrl-C; raises `Stopped`."""
    if stopping.wait(stage.settings.delay(attempt_number())):
        raise Stopped


def announce_retry(stage: Stage) -> None:
    """Say at the terminal that a failed stage is tried again, if it is."""
    settings, next_attempt = stage.settings, attempt_number() + 1
    if next_attempt <= settings.retries + 1:
        retry_line(stage.name, settings.delay(next_attempt), next_attempt, settings.retries + 1)


def limit(stage: Stage, stopping: Stopping) -> AbstractContextManager[None]:
    """The limit over all machines on stages that hold GPUs."""
    context = TaskRunContext.get()
    return within_limit(context.task_run.id, stopping) if stage.gpus and context else nullcontext()


def publish(work: Work) -> None:
    """Make the artifact of what the stage wrote; what is done is not undone by a failure to tell of it."""
    try:
        publish_outputs(work.stage, work.root, work.remote)
    except Exception as error:
        get_run_logger().warning("no artifact of its outputs could be made: %r", error)
