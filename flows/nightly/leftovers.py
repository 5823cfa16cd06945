"""What git leaves in a clone when a night is killed or the power goes: its locks, and itself, still at work."""

import contextlib
import signal
import time
from pathlib import Path

import psutil

from flows.nightly.git import CLONE, GitFailed
from tasks.processes import Step

STEPS: tuple[Step, ...] = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0))
"""Git takes its locks and half-written files away when it is asked to end."""
LOCKS = ("*.lock", "refs/**/*.lock", "logs/**/*.lock", "objects/info/**/*.lock", "objects/pack/*.lock")
"""Where git locks something, below .git; no reference may be named so."""


def remove_locks(workspace: Path) -> None:
    """Remove git's locks in a clone in which no git is at work."""
    for pattern in LOCKS:
        for lock in (workspace / ".git").glob(pattern):
            lock.unlink(missing_ok=True)


def end_earlier(workspace: Path) -> None:
    """End the git processes that were started for a clone; a process that is killed leaves its own behind.

    Only for who keeps other nights out: a night that is at work would lose its own.

    Raises:
        GitFailed: One does not end.
    """
    for number, patience in STEPS:
        for process in at_work(workspace):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        deadline = time.monotonic() + patience
        while at_work(workspace):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        else:
            return
    left = ", ".join(str(process.pid) for process in at_work(workspace))
    raise GitFailed(f"{workspace}: git of an earlier night is still at work there and cannot be ended: process {left}")


def at_work(workspace: Path) -> list[psutil.Process]:
    """The git processes that nights started for a clone, and those that these started in turn."""
    mark = str(workspace.resolve())
    return [process for process in psutil.process_iter() if is_of(process, mark)]


def is_of(process: psutil.Process, mark: str) -> bool:
    """Whether it is git and was started for the clone; one that has ended has no environment any more."""
    try:
        return process.name().startswith("git") and process.environ().get(CLONE) == mark
    except (psutil.Error, OSError):
        return False
