"""The steps of a night, each a Prefect task, so that its page shows how far the night is and what took long."""

import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from subprocess import CompletedProcess
from threading import Event

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from flows.kinds import KINDS
from flows.nightly.alert import check_channels
from flows.nightly.changes import compare
from flows.nightly.dvc_settings import take_over
from flows.nightly.git import Git
from flows.nightly.history import commit_night, next_tag, repeat_night, tags_of, untold
from flows.nightly.news import Night, said
from flows.nightly.publish import publish
from flows.nightly.push import push
from flows.nightly.sources import Resolved, resolve_sources
from flows.nightly.takeover import take_over_nights
from flows.nightly.tree import Ground, fetch, lay_out
from flows.stage import Order, run_stage
from tasks import paths
from tasks.console import step
from tasks.params import Params, load_params
from tasks.strict import ParamsError

RECORD = "record"
"""The stage that writes results/."""

LAST_PARAMS = ".git/params-of-the-last-night.yaml"
"""A copy in the clone: whom to tell when tonight's params.yaml cannot be read."""

quick = task(cache_policy=NO_CACHE, persist_result=False)
"""A step: done anew each night."""


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


@quick
def prepare(git: Git, plan: Plan) -> Ground:
    """The clone with tonight's files."""
    ground = fetch(git, plan.branch, plan.results)
    lay_out(git, ground)
    take_over(plan.repository, git.root)
    check_channels(params_of(git, f"{plan.branch} ({ground.source[:7]})").nightly.alerts)
    say(f"{plan.night}: {plan.branch} at {ground.source[:7]}, in {git.root}")
    return ground


def params_of(git: Git, revision: str) -> Params:
    """Tonight's params.yaml, checked.

    Raises:
        ParamsError: It has mistakes; the messages name the revision, since the clone's file is not the one to edit.
    """
    file = git.root / paths.PARAMS
    try:
        return load_params(file)
    except ParamsError as error:
        raise ParamsError(str(error).replace(str(file), f"{paths.PARAMS} at {revision}")) from None


@quick
def resolve(git: Git) -> Resolved:
    """Which sources moved; the Hub's commits are pinned."""
    return resolve_sources(git.root)


@quick
def bring_back(git: Git, ground: Ground) -> None:
    """What the last night made, on a machine that did not make it."""
    problem = take_over_nights(git) if ground.last else None
    if problem:
        say(f"warning: {problem}")


@quick
def record_again(git: Git) -> None:
    """Run the stage `record`, although DVC's cache had what it writes.

    All but leaderboard.csv, which has seconds in it and so is in git alone.
    """
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
    shutil.copyfile(git.root / paths.PARAMS, git.root / LAST_PARAMS)
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


@quick
def told_late(git: Git, plan: Plan, made: Night) -> list[Night]:
    """The nights whose runs ended between their commit and their alerts, made out from what is kept."""
    tags = [tag for tag in untold(git) if tag != made.tag or made.repeated]
    return [kept_night(git, plan, tag) for tag in tags]


def kept_night(git: Git, plan: Plan, tag: str) -> Night:
    """A night as its tag has it; nothing new, if the tag is a second one of its commit."""
    commit = git("rev-parse", f"{tag}^{{commit}}")
    night = Night(tag=tag, branch=plan.branch, source="", commit=commit)
    if git("tag", "--points-at", commit, "--list", "night/*", "--sort=creatordate").split()[0] != tag:
        return replace(night, unchanged=True)
    parent = git.commit(f"{commit}^1")
    last = parent if parent and git("tag", "--points-at", parent, "--list", "night/*") else None
    try:
        return night.compared(compare(git.root, last, tag, tag))
    except Exception as error:
        return night.with_problems(f"The night was not compared with those before: {said(error)}")


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
    if made.repeated:
        return made
    try:
        publish(git.root, made)
    except Exception as error:
        return made.with_problems(f"Prefect took no artifacts of it: {said(error)}")
    return made


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
