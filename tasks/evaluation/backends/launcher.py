"""Runs a model server for as long as an evaluation wants it: `python -m tasks.evaluation.backends.launcher COMMAND...`.

Standard input is a pipe from the evaluation, into which nothing is ever written. The kernel closes it when the
evaluation ends, also by `kill -9`; then the server is ended with all that it started, and gives the memory of the GPU
back. The server has a session of its own, so that Ctrl-C at the terminal reaches the evaluation alone.
"""

import os
import select
import signal
import subprocess
import sys
from types import FrameType

from tasks.processes import end_family

STEPS = ((signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0))
"""A server that is asked to end tells its workers and gives its memory back."""
INTERVAL = 0.2
"""Seconds in which the end of the server is noticed."""


def main() -> None:
    """Run the server until it ends, the pipe closes, or a signal comes; end with the server's status."""
    signals: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        signals.append(number)

    # No signal may end this process before the server. Handlers, unlike ignored signals, are not inherited by it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, note)
    try:
        server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error.strerror}")
    while server.poll() is None and not signals and not select.select([sys.stdin], [], [], INTERVAL)[0]:
        pass
    status = server.poll()
    end_family(server, STEPS)
    leave(server.returncode if status is None else status)


def leave(status: int) -> None:
    """End as the server ended: with its status, or by the signal that ended it."""
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    main()
