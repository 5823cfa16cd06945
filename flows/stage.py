"""Run one stage of the graph with DVC in a process of its own; no Prefect in here."""

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flows import rwlock
from flows.output import read_lines
from flows.stopping import Stopped, Stopping
from tasks.processes import STEPS, end_family
from wudi.errors import WudiError

Outcome = Literal["ran", "unchanged", "restored"]

SUPERVISOR = Path(__file__).with_name("supervise.py")

KEPT_LINES = 15
"""How much of a failed stage's output its error shows."""

CHATTER = ("Running stage '", "> ", "Verifying ", "Updating lock", "Generating lock")
"""DVC's own lines around a command, which explain no failure."""

BUSY = ("is busy, it is being blocked by", "Unable to acquire lock. Most likely another DVC process")
"""What DVC says when another process holds what it needs."""


class StageFailed(WudiError):
    """The stage's command failed; the message is the end of its output."""

    seconds: float = 0.0
    """How long the attempt took."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to run, and how."""

    stage: str
    root: Path
    limit: float
    """Seconds, including those spent waiting for another DVC process."""
    force: bool = False
    """Run it even when nothing changed."""
    variables: Mapping[str, str | None]
    """Environment variables on top of this process's own; None removes one."""
    held: tuple[int, ...] = ()
    """Open files to hold open until the stage's last process has ended, because they are locks."""


def run_stage(order: Order, *, on_line: Callable[[str], None], stopping: Stopping) -> Outcome:
    """Run one stage, and it alone, with `dvc repro`.

    Several may run at once in one workspace: DVC takes its lock only to look and to record, and each waits for it.
    What DVC does not wait for is a path in use by another process, such as a stage of a killed run that is still
    ending; that is waited for here.

    Raises:
        StageFailed: The command failed or took longer than its limit.
        Stopped: `stopping` was set; the stage's processes have ended.
    """
    deadline = time.monotonic() + order.limit
    told = False
    while True:
        try:
            return attempt(order, deadline, on_line, stopping)
        except PathBusy:
            if not told:
                on_line("waiting for another DVC process that works on the same paths")
                told = True
            if stopping.wait(2.0):
                raise Stopped from None


class PathBusy(Exception):
    """Another process reads or writes a path that the stage needs, or left DVC's list of them cut off."""


def attempt(order: Order, deadline: float, on_line: Callable[[str], None], stopping: Stopping) -> Outcome:
    """One `dvc repro` of the stage."""
    outcome: Outcome = "ran"
    kept: deque[str] = deque(maxlen=KEPT_LINES)
    busy = False
    process = start(order)
    assert process.stdout is not None
    try:
        for line in read_lines(process.stdout, until=lambda: process.poll() is not None):
            if stopping.is_set():
                raise Stopped
            if time.monotonic() > deadline:
                raise StageFailed(f"took longer than {duration(order.limit)}, its limit, and was stopped")
            if not line or not line.strip():
                continue
            outcome = told_outcome(line, order.stage) or outcome
            busy |= any(words in line for words in BUSY)
            if rwlock.UNREADABLE in line:
                rwlock.mend(order.root)
                busy = True
            if not line.startswith(CHATTER):
                kept.append(line.removeprefix(f"ERROR: failed to reproduce '{order.stage}': "))
            on_line(line)
        status = process.wait()
    finally:
        end(process)
    if status == 0:
        return outcome
    if stopping.is_set():
        raise Stopped
    if busy:
        raise PathBusy
    raise StageFailed("\n".join(kept) or f"exited with status {status} and said nothing")


def told_outcome(line: str, stage: str) -> Outcome | None:
    """What a line of DVC tells about a stage that it did not run; of tracked data it leaves out the word Stage."""
    line = line.removeprefix("Stage ")
    if line == f"'{stage}' didn't change, skipping":
        return "unchanged"
    return "restored" if line.startswith(f"'{stage}' is cached - skipping run") else None


def start(order: Order) -> subprocess.Popen[bytes]:
    """Start DVC in a session of its own, so that a Ctrl-C at the terminal reaches it only through this module."""
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", order.stage]
    environment = {
        **os.environ,
        # Stages call `python`: the one that runs this, whether or not its environment is active.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
        # The report of each `dvc` call to its makers would be one more process a stage.
        "DVC_NO_ANALYTICS": "1",
        **order.variables,
    }
    return subprocess.Popen(
        [sys.executable, "-P", str(SUPERVISOR), *command, *(["--force"] if order.force else [])],
        cwd=order.root,
        env={name: value for name, value in environment.items() if value is not None},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=order.held,
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """Have the supervisor end the stage, and wait for both."""
    if process.stdin is not None:
        process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(sum(patience for _, patience in STEPS) + 5.0)
    end_family(process)
    assert process.stdout is not None
    process.stdout.close()


def duration(seconds: float) -> str:
    """A time limit in the unit in which it is easily read."""
    return f"{seconds / 3600:g} h" if seconds >= 3600 else f"{seconds:g} s"
