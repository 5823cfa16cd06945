"""The pipeline as a Prefect flow: one task a stage of DVC's graph, each started when its upstream stages have ended.

DVC is the memory: it decides whether a stage must run, keeps what it wrote and records it in dvc.lock. The flow adds
what DVC lacks: stages side by side, retries, time limits, GPUs shared out, logs, and a state for each stage.
"""

import queue
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect import State, flow
from prefect.states import Cancelled

from flows.cancelled import Cancellation
from flows.graph import Stage
from flows.machines import Future, Machines, machines
from flows.names import run_name
from flows.plan import Plan, read_plan
from flows.report import Reporter, StageReport, failures, summary
from flows.stage_task import Work, stage_task
from flows.workspace import exclusive
from tasks.console import step
from wudi.errors import WudiError

LOOK_SECONDS = 5.0
"""How often the flow looks whether its run was cancelled in Prefect."""


class PipelineFailed(WudiError):
    """Stages failed; the message names each with the end of its output."""


@flow(name="pipeline", flow_run_name=run_name)
def pipeline(
    root: Path = Path(),
    targets: tuple[str, ...] = (),
    workers: int = 2,
    force: bool = False,
    scheduler: str | None = None,
) -> dict[str, StageReport] | State[Any]:
    """Run the stages of the workspace `root`, or the `targets` with what is upstream of them.

    Args:
        root: The folder of dvc.yaml.
        targets: Stages, or names that the stages of one foreach share; none: all.
        workers: Stages at once on this machine, not counting those that hold a GPU.
        force: Run every one of them, changed or not.
        scheduler: The address of a Dask scheduler, like tcp://HOST:8786, on whose workers the stages are run; how
            many at once, their threads decide.

    Returns:
        How each stage ended, by its name; or the state Cancelled, when the run was cancelled in Prefect, itself or a
        flow that it is part of.

    Raises:
        PipelineFailed: A stage failed. Stages that do not depend on it were run to their ends.
        GraphError: DVC cannot read the graph, or a target is not in it.
        WorkspaceBusy: Another flow is at work in the workspace.
        WudiError: The scheduler's workers cannot run the stages.
    """
    began = time.monotonic()
    with exclusive(root):
        plan = read_plan(root, targets, force=force)
        with machines(scheduler, workers, plan) as crew:
            reports = run_stages(plan, crew, force=force)
    step(summary(reports, time.monotonic() - began))
    if any(report.outcome == "failed" for report in reports.values()):
        raise PipelineFailed(failures(reports, root))
    if any(report.outcome == "stopped" for report in reports.values()):
        return Cancelled(message="cancelled in Prefect; its stages were stopped")
    return reports


def run_stages(plan: Plan, crew: Machines, *, force: bool) -> dict[str, StageReport]:
    """Submit every stage and report each as it ends; however this ends, no stage is left behind."""
    ended: queue.SimpleQueue[str] = queue.SimpleQueue()
    futures: dict[str, Future] = {}
    try:
        for stage in plan.stages:
            futures[stage.name] = future = submit(stage, plan, crew, futures, force=force)
            future.add_done_callback(lambda _, name=stage.name: ended.put(name))
        return watch(plan.stages, futures, ended, crew)
    finally:
        crew.stop(list(futures.values()))


def submit(stage: Stage, plan: Plan, crew: Machines, futures: Mapping[str, Future], *, force: bool) -> Future:
    """Start the stage's task, which waits for the upstream ones."""
    task = stage_task.with_options(name=stage.kind, task_run_name=lambda: stage.name, retries=stage.settings.retries)
    work = Work(stage=stage, root=plan.root, force=force, unchanged=stage.name in plan.unchanged, remote=plan.remote)
    return crew.submit(task, work, [futures[name] for name in stage.upstream])


def watch(
    stages: Sequence[Stage], futures: Mapping[str, Future], ended: queue.SimpleQueue[str], crew: Machines
) -> dict[str, StageReport]:
    """Report each stage as it ends, until all have; stops those at work when the run is cancelled in Prefect."""
    reports: dict[str, StageReport] = {}
    reporter, cancellation = Reporter(stages), Cancellation()
    upstream = {stage.name: stage.upstream for stage in stages}
    look = time.monotonic() + LOOK_SECONDS
    while len(reports) < len(futures):
        if time.monotonic() >= look:
            look = time.monotonic() + LOOK_SECONDS
            crew.check()
            if cancellation.is_asked_for():
                crew.stop(list(futures.values()))
        try:
            name = ended.get(timeout=max(0.0, look - time.monotonic()))
        except queue.Empty:
            continue
        missing = [other for other in upstream[name] if other in reports and not is_done(reports[other])]
        reports[name] = read_report(name, futures[name], crew, missing)
        reporter.stage(reports[name])
    return {stage.name: reports[stage.name] for stage in stages}


def read_report(name: str, future: Future, crew: Machines, missing: Sequence[str]) -> StageReport:
    """How a stage ended, by the state of its task."""
    future.wait()
    if problem := crew.problem(future):
        return StageReport(stage=name, outcome="failed", problem=problem)
    state: State[Any] = future.state
    if not state.is_final():
        return StageReport(stage=name, outcome="not run", problem=f"needs {', '.join(missing)}")
    found: Any = state.result(raise_on_failure=False)
    if isinstance(found, StageReport):
        return found
    problem = str(found) if isinstance(found, WudiError) else repr(found)
    return StageReport(stage=name, outcome="failed", seconds=getattr(found, "seconds", 0.0), problem=problem)


def is_done(report: StageReport) -> bool:
    """Whether what depends on the stage can run."""
    return report.outcome in ("ran", "restored", "unchanged")


if __name__ == "__main__":
    from flows.command import main

    main()
