"""One night as a Prefect flow: what moved, run what that touches, compare, keep, push, tell.

DVC is the memory of checkpoints and scores; git is that of the nights, each with a tag from which it can be had again.
"""

import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from subprocess import CompletedProcess
from threading import Event
from typing import Any

from prefect import State, flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.exceptions import CancelledRun
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed

from flows.kinds import KINDS
from flows.nightly.alert import check_channels
from flows.nightly.changes import compare
from flows.nightly.clone import AnotherNight, alone, default_workspace, open_clone
from flows.nightly.dvc_settings import take_over
from flows.nightly.git import Git
from flows.nightly.history import commit_night, next_tag, repeat_night, tags_of
from flows.nightly.news import Night, failed, news, said, tell
from flows.nightly.publish import publish
from flows.nightly.push import push
from flows.nightly.sources import Moved, pin_sources, unseen
from flows.nightly.takeover import take_over_nights
from flows.nightly.tree import Ground, fetch, is_unchanged, lay_out
from flows.pipeline import pipeline
from flows.serving.crashed import claim
from flows.serving.schedule import night_date, superseded
from flows.stage import Order, run_stage
from tasks import paths
from tasks.console import step
from tasks.params import load_params

RECORD = "record"
"""The stage that writes results/."""

quick = task(cache_policy=NO_CACHE, persist_result=False)
"""A step of the night that Prefect shows, and that is done anew each night."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a night is asked to do."""

    repository: str
    workspace: Path
    branch: str
    results: str
    workers: int
    scheduler: str | None
    night: date


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
    git = open_clone(plan.repository, plan.workspace)
    try:
        made = make(git, plan)
    except CancelledRun:
        raise
    except Exception as error:  # whatever it is, somebody waits for this night
        tell(git.root, [failed(plan.night, error)], say)
        raise
    tell(git.root, news(made), say)
    return made


def make(git: Git, plan: Plan) -> Night:
    """Make the night: each line is a step."""
    ground = prepare(git, plan)
    moved = resolve(git)
    if is_unchanged(git, ground):
        return delivered(git, plan, nothing_new(git, ground, plan))
    for model in moved:
        say(str(model))
    bring_back(git, ground)
    run_stages(git, moved, plan)
    tag = next_tag(git, plan.night)
    made = compared(git, ground, Night(tag=tag, branch=plan.branch, source=ground.source, moved=moved))
    return delivered(git, plan, keep(git, ground, plan, made))


@quick
def prepare(git: Git, plan: Plan) -> Ground:
    """The clone with tonight's files."""
    ground = fetch(git, plan.branch, plan.results)
    lay_out(git, ground)
    take_over(plan.repository, git.root)
    check_channels(load_params(git.root / paths.PARAMS).nightly.alerts)
    say(f"{plan.night}: {plan.branch} at {ground.source[:7]}, in {git.root}")
    return ground


@quick
def resolve(git: Git) -> tuple[Moved, ...]:
    """Which sources moved; the Hub's commits are pinned."""
    return pin_sources(git.root)


@quick
def bring_back(git: Git, ground: Ground) -> None:
    """What the last night made, on a machine that did not make it."""
    problem = take_over_nights(git) if ground.last else None
    if problem:
        say(f"warning: {problem}")


def run_stages(git: Git, moved: tuple[Moved, ...], plan: Plan) -> None:
    """Bring everything up to date, in a flow of its own."""
    stages = unseen(git.root, moved)
    if stages:
        pipeline(git.root, targets=stages, workers=plan.workers, force=True, scheduler=plan.scheduler)
    reports = pipeline(git.root, workers=plan.workers, scheduler=plan.scheduler)
    assert isinstance(reports, dict)
    if RECORD in reports and reports[RECORD].outcome == "restored":
        # From DVC's cache came all results but leaderboard.csv, which has seconds in it and so is in git alone.
        order = Order(stage=RECORD, root=git.root, limit=KINDS[RECORD].limit, force=True, variables={})
        run_stage(order, on_line=get_run_logger().info, stopping=Event())


@quick
def compared(git: Git, ground: Ground, made: Night) -> Night:
    """Tonight beside the last good night and the best one so far; what is in the way of that loses no night."""
    try:
        return made.compared(compare(git.root, ground.last, made.tag))
    except Exception as error:
        get_run_logger().exception("the night was not compared")
        return made.with_problems(f"The night was not compared with those before: {said(error)}")


@quick
def keep(git: Git, ground: Ground, plan: Plan, made: Night) -> Night:
    """Commit and tag the night."""
    return made.at(commit_night(git, ground, results=plan.results, tag=made.tag, message=made.message()))


@quick
def nothing_new(git: Git, ground: Ground, plan: Plan) -> Night:
    """Tag the last night's commit again; a date that has its night already gets no second one of the same."""
    assert ground.last is not None
    tags = tags_of(git, plan.night)
    tag = tags[-1] if tags else next_tag(git, plan.night)
    made = Night(
        tag=tag, branch=plan.branch, source=ground.source, commit=ground.last, unchanged=True, repeated=bool(tags)
    )
    if not tags:
        repeat_night(git, ground, results=plan.results, tag=tag, message=made.message())
    return made


def delivered(git: Git, plan: Plan, made: Night) -> Night:
    """The night, pushed and shown in Prefect."""
    return show(git, free(git, bring(git, plan, made)))


@quick
def bring(git: Git, plan: Plan, made: Night) -> Night:
    """Push this night, and those that could not be pushed before."""
    return made.with_problems(*push(git, plan.results))


@quick
def free(git: Git, made: Night) -> Night:
    """Free the space of older nights' merged models, if params.yaml asks for it and nothing waits to be pushed."""
    if made.unchanged or made.problems or not load_params(git.root / paths.PARAMS).nightly.gc:
        return made
    ended = run_in(git.root, "tasks.gc")
    for line in ended.stdout.splitlines():
        say(line)
    return made if ended.returncode == 0 else made.with_problems(f"No space was freed: {last_line(ended.stderr)}")


@quick
def show(git: Git, made: Night) -> Night:
    """Publish the leaderboard and the differences as artifacts; the night is kept whether or not that can be."""
    try:
        publish(git.root, made)
    except Exception as error:
        return made.with_problems(f"Prefect took no artifacts of it: {said(error)}")
    return made


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


def run_in(folder: Path, module: str) -> CompletedProcess[str]:
    """Run a command of the project, of the clone's own code."""
    return subprocess.run([sys.executable, "-m", module], cwd=folder, capture_output=True, text=True, check=False)


def last_line(text: str) -> str:
    """What a command said at its end."""
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def say(text: str) -> None:
    """One line, at the terminal and in Prefect's log."""
    step(text)
    get_run_logger().info(text)
