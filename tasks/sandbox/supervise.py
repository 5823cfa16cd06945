"""One program's process: started, fed, watched until its verdict, and killed with all that it left."""

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tasks.sandbox.bubblewrap import ENVIRONMENT
from wudi.errors import WudiError

Outcome = Literal["passed", "failed", "exited", "timed_out", "out_of_memory"]

_LONGEST_DETAIL: Final = 300
_LONGEST_ANSWER: Final = 1 << 16
_START_SECONDS: Final = 60.0  # for the interpreter, on a machine that is busy with other things


@dataclass(frozen=True)
class Verdict:
    """What became of one program.

    `exited` is a program that ended, or was ended, before its tests had run through. `detail` is one printable line for
    people, empty for a pass; a hostile program can word its own failure.
    """

    passed: bool
    outcome: Outcome
    detail: str


def supervise(
    command: Sequence[str],
    message: bytes,
    *,
    start: bytes,
    token: bytes,
    wall_seconds: float,
    folder: str | None = None,
    pass_fds: Sequence[int] = (),
    crowded: Callable[[], bool] = lambda: False,
) -> Verdict:
    """Run `command`, a driver that gets `message`, and read its verdict; raises WudiError where it does not start.

    The answers come on standard error, where bubblewrap's own complaints come as well: the line `start` divides them. A
    program that makes `crowded` true, asked ten times a second, has too many files.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={"PATH": os.environ.get("PATH", os.defpath), **ENVIRONMENT},
        pass_fds=pass_fds,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stderr is not None
    try:
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(message)
        said, started = _listen(process, process.stderr.fileno(), b"", start + b"\n", _START_SECONDS)
        if not started:
            complaint = _printable(said) or "no message, within a minute or before it ended"
            raise WudiError(f"The process for a model-written program did not start: {complaint}.")
        rest = said.split(start + b"\n", 1)[1]
        said, answered = _listen(process, process.stderr.fileno(), rest, b"\n", wall_seconds, crowded)
        if not answered and crowded():
            return Verdict(passed=False, outcome="failed", detail="too many files in the scratch folder")
        return _verdict(said.split(b"\n")[0], token) if answered else _unanswered(process, said, wall_seconds)
    finally:
        _kill(process)


def _listen(
    process: subprocess.Popen[bytes],
    channel: int,
    said: bytes,
    until: bytes,
    seconds: float,
    crowded: Callable[[], bool] = lambda: False,
) -> tuple[bytes, bool]:
    """Everything said, and whether `until` is in it; ends at the deadline, the process's end, a flood or a crowd."""
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    deadline = time.monotonic() + seconds
    while until not in said:
        left = deadline - time.monotonic()
        if left <= 0 or len(said) > _LONGEST_ANSWER or crowded():
            return said, False
        # Asked before the poll: what an ended process said last is then surely there to read. A child that it left
        # behind may hold the channel open for ever, so the channel's end alone does not tell.
        ended = process.poll() is not None
        if poll.poll(min(left, 0.1) * 1000):
            chunk = os.read(channel, _LONGEST_ANSWER)
            if not chunk:
                return said, False
            said += chunk
        elif ended:
            return said, False
    return said, True


def _verdict(answer: bytes, token: bytes) -> Verdict:
    if answer == token:
        return Verdict(passed=True, outcome="passed", detail="")
    kind, _, text = answer.partition(b" ")
    if kind == b"out_of_memory":
        return Verdict(passed=False, outcome="out_of_memory", detail=_printable(text))
    if kind == b"failed":
        return Verdict(passed=False, outcome="failed", detail=_printable(text))
    return Verdict(passed=False, outcome="failed", detail="the program wrote to its checker's channel")


def _unanswered(process: subprocess.Popen[bytes], said: bytes, wall_seconds: float) -> Verdict:
    """Judge a program that never answered."""
    if len(said) > _LONGEST_ANSWER:
        return _verdict(said, b"")
    assert process.stderr is not None
    closed = select.poll()
    closed.register(process.stderr, 0)
    try:
        # The channel closes a moment before the process is gone.
        status = process.wait(timeout=0.5 if closed.poll(0) else 0)
    except subprocess.TimeoutExpired:
        return Verdict(passed=False, outcome="timed_out", detail=f"no end within {wall_seconds:g} s")
    number = -status if status < 0 else status - 128  # bubblewrap tells of a signal as shells do
    if number == signal.SIGXCPU:
        return Verdict(passed=False, outcome="timed_out", detail="used up its processor time")
    names = {known.value: known.name for known in signal.Signals}
    how = f"was killed by {names[number]}" if number in names else f"ended with status {status}"
    return Verdict(passed=False, outcome="exited", detail=f"the program {how} before its tests had run through")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process group, and wait until the sandbox's last process has let go of the channel."""
    assert process.stderr is not None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    channel = process.stderr.fileno()
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    deadline = time.monotonic() + 1.0  # without a sandbox, a process of a session of its own may hold it longer
    with process.stderr:
        while (left := deadline - time.monotonic()) > 0 and poll.poll(left * 1000) and os.read(channel, 4096):
            pass


def _printable(text: bytes) -> str:
    # Where an object lies differs from run to run, and a verdict's words must not.
    shown = re.sub(r"\b0x[0-9a-f]{6,}", "0x...", " ".join(text.decode("utf-8", "replace").split()))
    return "".join(letter if letter.isprintable() else "?" for letter in shown)[:_LONGEST_DETAIL]
