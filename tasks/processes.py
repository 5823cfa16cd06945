"""End a process with everything that it started."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence

import psutil

Step = tuple[signal.Signals, float]
"""A signal, and the seconds that it is given."""

STEPS: tuple[Step, ...] = (
    (signal.SIGINT, 5.0),
    (signal.SIGTERM, 3.0),
    (signal.SIGKILL, 2.0),
)
"""First the signal of Ctrl-C, as at a terminal: DVC leaves its files in order, a stage says what it kept."""


def end_family(process: subprocess.Popen[bytes], steps: Sequence[Step] | None = None) -> None:
    """End a process that leads a group, the group, and its descendants in other groups.

    Returns as soon as all have ended; at once when they have ended before.
    """
    family: set[psutil.Process] = set()
    for step, patience in steps or STEPS:
        family |= members(process.pid) | descendants(process.pid)
        if not send(step, family):
            break
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and any(runs(member) for member in family):
            time.sleep(0.05)
    process.wait()


def send(step: signal.Signals, family: set[psutil.Process]) -> bool:
    """Send a signal to those that still run, parents first; whether there was any.

    DVC is deaf to Ctrl-C while its command runs. One that reached it after the command's end would find it writing.
    """
    sent = False
    for member in sorted(family, key=born):
        if runs(member):
            try:
                member.send_signal(step)
                sent = True
            except psutil.NoSuchProcess:
                pass
    return sent


def born(process: psutil.Process) -> float:
    """When it was started, in seconds since the epoch; of one that has ended, when does not matter."""
    try:
        return process.create_time()
    except psutil.NoSuchProcess:
        return 0.0


def members(group: int) -> set[psutil.Process]:
    """The processes of a group; also those whose parents have ended."""
    found = set()
    for pid in psutil.pids():
        try:
            if os.getpgid(pid) == group:
                found.add(psutil.Process(pid))
        except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            continue
    return found


def descendants(pid: int) -> set[psutil.Process]:
    """Everything that a process has started, and what that has started."""
    try:
        return set(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return set()


def runs(process: psutil.Process) -> bool:
    """Whether it is still at work; one that only waits for its parent to take note of its end is not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
