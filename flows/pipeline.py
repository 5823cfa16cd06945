"""The pipeline as a Prefect flow: one task a stage of DVC's graph, each started when its upstream stages have ended.

DVC is the memory: it decides whether a stage must run, keeps what it wrote and records it in dvc.lock. The flow adds
what DVC lacks: stages side by side, retries, time limits, GPUs shared out, logs, and a state for each stage.
"""

import queue
import time
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any

import httpx
from prefect import State, flow, get_client, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.context import TaskRunContext
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.graph import Stage, read_graph, select
from flows.kinds import kind_settings
from flows.report import Reporter, StageReport, failures, summary
from flows.slots import Slots, visible_gpus
from flows.stage import Order, Outcome, StageFailed, Stopped, run_stage
from flows.workspace import exclusive
from tasks.console import step
from wudi.errors import WudiError

CANCELLATION_SECONDS = 5.0
"""How often the flow looks whether its run was cancelled in Prefect."""

THREADS: Any = ThreadPoolTaskRunner()
"""One thread a stage: most of them only wait, for upstream stages or for a slot. `Slots` bounds those at work."""

Futures = dict[str, PrefectFuture[Any]]


class PipelineFailed(WudiError):
    """Stages failed; the message names each with the end of its output."""


class Run:
    """What the tasks of one run share. No dataclass: Prefect searches those for futures, field by field."""

    def __init__(self, root: Path, stages: Sequence[Stage], workers: int, force: bool) -> None:
        self.root = root
        self.force = force
        self.slots = Slots(workers, visible_gpus())
        self.stopping = Event()
        self.reporter = Reporter(stages)
        self.began: dict[str, float] = {}
        self.ended: queue.SimpleQueue[str] = queue.SimpleQueue()


@flow(name="pipeline", task_runner=THREADS)
def pipeline(
    root: Path = Path(), targets: tuple[str, ...] = (), workers: int = 2, force: bool = False
) -> dict[str, StageReport] | State[Any]:
    """Run the stages of the workspace `root`, or the `targets` with what is upstream of them.

    Args:
        root: The folder of dvc.yaml.
        targets: Stages, or names that the stages of one foreach share; none: all.
        workers: Stages at once, not counting those that hold a GPU.
        force: Run every one of them, changed or not.

    Returns:
        How each stage ended, by its name; or the state Cancelled, when the run was cancelled in Prefect.

    Raises:
        PipelineFailed: A stage failed. Stages that do not depend on it were run to their ends.
        GraphError: DVC cannot read the graph, or a target is not in it.
        WorkspaceBusy: Another flow is at work in the workspace.
    """
    stages = select(read_graph(root), targets)
    began = time.monotonic()
    with exclusive(root):
        run = Run(root.resolve(), stages, workers, force)
        futures: Futures = {}
        try:
            for stage in stages:
                futures[stage.name] = submit(stage, run, [futures[name] for name in stage.upstream])
            reports = watch(stages, futures, run)
        finally:
            # However this ends, and before the workspace is free again: no stage is left behind.
            run.stopping.set()
            for future in futures.values():
                future.wait()
    step(summary(reports, time.monotonic() - began))
    if any(report.outcome == "failed" for report in reports.values()):
        raise PipelineFailed(failures(reports))
    if any(report.outcome == "stopped" for report in reports.values()):
        return Cancelled(message="cancelled in Prefect; its stages were stopped")
    return reports


def submit(stage: Stage, run: Run, upstream: Sequence[PrefectFuture[Any]]) -> PrefectFuture[Any]:
    """Start the stage's task, which waits for the upstream ones; its end is put into `run.ended`."""
    configured = stage_task.with_options(
        name=stage.kind, task_run_name=lambda: stage.name, retries=kind_settings(stage.kind).retries
    )
    future: PrefectFuture[Any] = configured.submit(stage, run, wait_for=upstream, return_state=False)
    future.add_done_callback(lambda _: run.ended.put(stage.name))
    return future


# DVC owns caching: it knows what a stage read and wrote, where Prefect would compare the arguments of this call and
# take an edited params.yaml for no change.
@task(cache_policy=NO_CACHE, persist_result=False)
def stage_task(stage: Stage, run: Run) -> State[Outcome]:
    """The task of one stage: wait for a slot, run it, and name the state after what happened."""
    settings = kind_settings(stage.kind)
    attempt = attempt_number()
    logger = get_run_logger()
    try:
        # The wait between attempts is here and not in Prefect, which sleeps through a Ctrl-C.
        if run.stopping.wait(settings.delay(attempt)):
            raise Stopped
        with run.slots.take(gpu=stage.gpu, stopping=run.stopping) as variables:
            run.began[stage.name] = time.monotonic()
            order = Order(stage=stage.name, root=run.root, limit=settings.limit, force=run.force, variables=variables)
            outcome = run_stage(order, on_line=logger.info, stopping=run.stopping)
    except Stopped:
        return Cancelled(message="stopped with the run")
    except StageFailed:
        if attempt <= settings.retries:
            run.reporter.retry(stage.name, settings.delay(attempt + 1), attempt + 1, settings.retries + 1)
        raise
    return Completed(name=outcome.capitalize(), data=outcome)


def attempt_number() -> int:
    """Which attempt of its task this is, from 1."""
    context = TaskRunContext.get()
    return context.task_run.run_count if context else 1


def watch(stages: Sequence[Stage], futures: Futures, run: Run) -> dict[str, StageReport]:
    """Report each stage as it ends, until all have; stops those at work when the run is cancelled in Prefect."""
    reports: dict[str, StageReport] = {}
    upstream = {stage.name: stage.upstream for stage in stages}
    done: set[str] = set()
    while len(reports) < len(futures):
        try:
            name = run.ended.get(timeout=CANCELLATION_SECONDS)
        except queue.Empty:
            if not run.stopping.is_set() and is_cancelled():
                run.stopping.set()
            continue
        future = futures[name]
        future.wait()
        seconds = time.monotonic() - run.began.get(name, time.monotonic())
        missing = [other for other in upstream[name] if other in reports and other not in done]
        reports[name] = read_report(name, future.state, seconds, missing)
        if future.state.is_completed():
            done.add(name)
        run.reporter.stage(reports[name])
    return {stage.name: reports[stage.name] for stage in stages}


def read_report(name: str, state: State[Outcome], seconds: float, missing: Sequence[str]) -> StageReport:
    """How a stage ended, by the state of its task."""
    if state.is_completed():
        return StageReport(stage=name, outcome=state.result(), seconds=seconds)
    if state.is_cancelled():
        return StageReport(stage=name, outcome="stopped", seconds=seconds)
    if state.is_failed() or state.is_crashed():
        error = state.result(raise_on_failure=False)
        problem = str(error) if isinstance(error, WudiError) else repr(error)
        return StageReport(stage=name, outcome="failed", seconds=seconds, problem=problem)
    return StageReport(stage=name, outcome="not run", problem=f"needs {', '.join(missing)}")


def is_cancelled() -> bool:
    """Whether somebody has cancelled this flow run in Prefect; no, when Prefect does not answer."""
    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(flow_run.id).state
    except httpx.HTTPError:
        return False
    return state is not None and (state.is_cancelled() or state.is_cancelling())


if __name__ == "__main__":
    from flows.command import main

    main()
