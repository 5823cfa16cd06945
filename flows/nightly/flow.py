"""One night as a Prefect flow: what moved, run what that touches, compare, keep, push, tell.

DVC is the memory of checkpoints and scores; git is that of the nights, each with a tag from which it can be had again.
"""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from prefect import State, flow
from prefect.exceptions import CancelledRun
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelled, Completed

from flows.nightly.alert import Alert
from flows.nightly.clone import AnotherNight, alone, default_workspace, open_clone
from flows.nightly.git import Git
from flows.nightly.history import mark_told, next_tag
from flows.nightly.news import Night, failed, news, tell
from flows.nightly.sources import Resolved
from flows.nightly.steps import (
    LAST_PARAMS,
    RECORD,
    Plan,
    bring,
    bring_back,
    compared,
    free,
    keep,
    nothing_new,
    prepare,
    record_again,
    resolve,
    say,
    show,
    told_late,
)
from flows.nightly.tree import is_unchanged
from flows.pipeline import pipeline
from flows.serving.crashed import claim
from flows.serving.schedule import night_date, superseded
from tasks import paths
from tasks.console import warn


def run_name() -> str:
    """The name of a flow's run, before its date is known for sure."""
    asked = flow_run.parameters.get("night")
    return f"night {asked or night_date(flow_run.parameters.get('timezone') or 'UTC').isoformat()}"


@flow(name="nightly", flow_run_name=run_name, persist_result=False, on_running=[claim])
def nightly(
    repository: str = ".",
    workspace: str | None = None,
    branch: str = "main",
    results: str = "nightly",
    workers: int = 2,
    scheduler: str | None = None,
    timezone: str = "UTC",
    night: date | None = None,
) -> State[Any]:
    """Make one night.

    Args:
        repository: A URL that git clones, or a checkout, of which the origin counts, or itself if it has none.
        workspace: The folder of the nights' own clone; by default that of the checkout with `-nightly` behind its name.
        branch: What to make nights of.
        results: The branch that keeps them.
        workers: Stages at once, not counting those that hold a GPU.
        scheduler: The address of a Dask cluster to run the stages on.
        timezone: Where it is night.
        night: The date to give it; by default that for which it was scheduled, or today's.

    Returns:
        Completed, or one by another name: `Unchanged`, nothing had changed since the last night; `Skipped`, another
        run makes or made this night; Cancelled, when the run was cancelled in Prefect.

    Raises:
        WudiError: The night failed. What is done is kept, and the next one goes on there.
    """
    newer = superseded()
    if newer is not None:
        return skipped(newer)
    plan = Plan(
        repository=repository,
        workspace=Path(workspace) if workspace else default_workspace(repository),
        branch=branch,
        results=results,
        workers=workers,
        scheduler=scheduler,
        night=night or night_date(timezone),
    )
    try:
        with alone(plan.workspace):
            return ended(make_and_tell(plan))
    except AnotherNight as other:
        return skipped(str(other))
    except CancelledRun:
        return Cancelled(message="cancelled in Prefect: the next night goes on where it stopped")


def make_and_tell(plan: Plan) -> Night:
    """Make the night and tell of it; of a failure too."""
    files = [plan.workspace / paths.PARAMS, plan.workspace / LAST_PARAMS, Path(plan.repository) / paths.PARAMS]
    try:
        git = open_clone(plan.repository, plan.workspace)
        made = make(git, plan)
        late = told_late(git, plan, made)
    except CancelledRun:
        raise
    except Exception as error:  # whatever it is, somebody waits for this night
        alert = failed(plan.night, error)
        if deployment.id is not None:  # by hand the command says it
            warn(f"{alert.subject}: {alert.body}")
        tell([linked(alert)], files, say)
        raise
    tell([linked(alert) for night in (*late, made) for alert in news(night)], files, say)
    mark_told(git, list(dict.fromkeys(night.tag for night in (*late, made))))
    return made


def linked(alert: Alert) -> Alert:
    """The alert with the page of this run, where Prefect has one."""
    return replace(alert, link=flow_run.ui_url)


def make(git: Git, plan: Plan) -> Night:
    """Make the night: each line is a step."""
    ground = prepare(git, plan)
    resolved = resolve(git)
    if is_unchanged(git, ground):
        return delivered(git, plan, nothing_new(git, ground, plan))
    for model in resolved.moved:
        say(str(model))
    bring_back(git, ground)
    run_stages(git, resolved, plan)
    tag = next_tag(git, plan.night)
    made = compared(git, ground, Night(tag=tag, branch=plan.branch, source=ground.source, moved=resolved.moved))
    return delivered(git, plan, keep(git, ground, plan, made))


def run_stages(git: Git, resolved: Resolved, plan: Plan) -> None:
    """Bring everything up to date, in a flow of its own."""
    if resolved.unseen:
        pipeline(git.root, targets=resolved.unseen, workers=plan.workers, force=True, scheduler=plan.scheduler)
    reports = pipeline(git.root, workers=plan.workers, scheduler=plan.scheduler)
    assert isinstance(reports, dict)
    if RECORD in reports and reports[RECORD].outcome == "restored":
        record_again(git)


def delivered(git: Git, plan: Plan, made: Night) -> Night:
    """The night, pushed and shown in Prefect."""
    return show(git, free(git, bring(git, plan, made)))


def ended(made: Night) -> State[Any]:
    """The state that says how the night ended."""
    for line in made.sentences():
        say(line)
    name = "Skipped" if made.repeated else "Unchanged" if made.unchanged else None
    return Completed(name=name, message=" ".join(made.sentences()))


def skipped(reason: str) -> State[Any]:
    """The state of a run that leaves its night to another one."""
    say(f"skipped: {reason}")
    return Completed(name="Skipped", message=reason)
