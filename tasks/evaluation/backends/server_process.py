"""A model server as a process of its own: started, watched, and ended with all that it started."""

import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tasks import paths
from tasks.evaluation.settings import Server
from tasks.strict import ParamsError
from wudi.errors import WudiError

LINES = 12
"""Of the log's end, as many as an error shows."""


@dataclass(frozen=True)
class ServerProcess:
    """A server that was started, which `running` ends."""

    launcher: subprocess.Popen[bytes]
    log: Path
    """What the server prints."""

    def check(self, advice: str = "") -> None:
        """Raise a `WudiError` with the end of the log if the server has ended."""
        if (status := self.launcher.poll()) is not None:
            raise WudiError(f"the server of evaluation.server.command {ended(status)}{advice}{self.last_lines()}")

    def last_lines(self) -> str:
        """The end of the log, to be put behind an error's first line."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES:]
        if not any(map(str.strip, lines)):
            return f"; it printed nothing ({self.log})"
        return f"; {self.log} ends with\n" + "\n".join(f"  {line}" for line in lines)


def ended(status: int) -> str:
    """How a process ended, in words."""
    if status >= 0:
        return f"ended with status {status}"
    return f"was ended by {signal.Signals(-status).name}"


@contextmanager
def running(arguments: Sequence[str], name: str) -> Iterator[ServerProcess]:
    """Run the server of a model, with its output in a log file; it is ended however the block is left.

    The launcher ends the server as soon as the pipe to it closes, which the kernel does if this process is killed.
    """
    log = paths.CACHE / "servers" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        launcher = subprocess.Popen(
            [sys.executable, "-m", "tasks.evaluation.backends.launcher", *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    assert launcher.stdin is not None
    try:
        yield ServerProcess(launcher, log)
    finally:
        launcher.stdin.close()
        launcher.wait()


def arguments_of(server: Server, model: Path, port: int) -> list[str]:
    """The command, split as a shell would, with its fields filled in afterwards: a folder may have spaces.

    Raises:
        ParamsError: The command cannot be split, or there is no such program.
    """
    try:
        parts = shlex.split(server.command or "")
    except ValueError as error:
        raise ParamsError(f"params.yaml: evaluation.server.command: cannot be read ({error}); close quotes") from None
    arguments = [part.format(model=model, port=port) for part in parts]
    if shutil.which(arguments[0]) is None:
        raise ParamsError(
            f"params.yaml: evaluation.server.command: no program {arguments[0]!r}; install it, or write its path"
        )
    return arguments


def check_command(server: Server | None) -> None:
    """Raise a `ParamsError` where the command of a server could not even be started."""
    if server is not None and server.command is not None:
        arguments_of(server, paths.BASE, 0)


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
