"""Prefect's API for a command: the server that PREFECT_API_URL names, or one that the command starts for itself.

Prefect would start a temporary server by itself. That one prints its troubles between the lines of the run, gets the
terminal's Ctrl-C along with the flow, so that it is gone before the flow has reported its end, and outlives a flow
that is killed, at work on the next one's database. Those here have a session of their own, end with the process that
started them, however that ends, and keep their output for the case that they do not start.
"""

import atexit
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any

import httpx
from prefect.client.orchestration import get_client
from prefect.logging.configuration import setup_logging
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from wudi.errors import WudiError

HOST = "127.0.0.1"
"""Where servers listen: nobody is asked for a password."""

LEASES = "prefect.server.concurrency.lease_storage.filesystem"
"""Where a lasting server keeps who holds which place: in memory, a restart would end every run that holds one."""


START_SECONDS = 60.0
"""How long a server may take until it listens; one that hangs would have its starter hang too."""

LOG_BYTES = 1_000_000
"""From which size on a lasting server's log is put aside at the next start."""

running: set[subprocess.Popen[bytes]] = set()
"""The servers that this process has started, and is to end with itself."""


class NoServer(WudiError):
    """Prefect's API does not answer."""


def temporary() -> str:
    """Start a server that lives as long as this process, and return its API's address when it answers.

    Raises:
        NoServer: It does not start.
    """
    return start_server()[1]


@contextmanager
def api(*, verbose: bool, own: Callable[[], str] = temporary) -> Iterator[str]:
    """Have an API to run flows against; meanwhile Prefect prints nothing, or with `verbose` the runs' logs.

    Args:
        verbose: Print the runs' logs.
        own: Starts a server where PREFECT_API_URL names none, and returns its address.

    Yields:
        The API's address.

    Raises:
        NoServer: The named server does not answer, or the own one does not start.
    """
    print_logs_from("CRITICAL")
    url = get_current_settings().api.url or own()
    with temporary_settings({PREFECT_API_URL: url}):
        with get_client(sync_client=True) as client:
            problem = client.api_healthcheck()
        if problem is not None:
            raise NoServer(f"Prefect's API at {url} does not answer: start it, or unset PREFECT_API_URL to do without")
        if verbose:
            print_logs_from("INFO")
        try:
            yield url
        finally:
            print_logs_from("CRITICAL")


def print_logs_from(level: str) -> None:
    """Print Prefect's log lines from this level on; the API gets all of them."""
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = level
    setup_logging()


def start_server(port: int | None = None) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server that ends with this process, and wait until it answers.

    Args:
        port: Where a lasting one is to listen, with the UI and the services that schedule runs; None for a temporary
            one, which has neither and finds itself a port.

    Returns:
        Its process, and its API's address.

    Raises:
        NoServer: It does not start.
    """
    with words(port) as said:
        begin = said.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.server", *([] if port is None else [str(port)])],
            env={**os.environ, **variables(port)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,
        )
        running.add(process)
        try:
            url = f"http://{HOST}:{port_of(process, START_SECONDS)}/api"
            # The address takes connections before the server is ready; the answer comes when it is.
            httpx.get(f"{url}/health", timeout=get_current_settings().server.ephemeral.startup_timeout_seconds)
        except (ValueError, httpx.HTTPError) as error:
            stop(process)
            said.seek(begin)
            end = said.read().decode(errors="replace").strip().splitlines()[-5:]
            raise NoServer(
                "\n".join(["Prefect's server did not start:", *(end or [str(error) or repr(error)])])
            ) from error
    return process, url


def port_of(process: subprocess.Popen[bytes], seconds: float) -> int:
    """The port that a server prints once it listens; after so many seconds without, it is killed.

    Raises:
        ValueError: It has ended without.
    """
    assert process.stdout is not None
    late = threading.Timer(seconds, process.kill)
    late.start()
    try:
        line = process.stdout.readline()
    finally:
        late.cancel()
    if not line:
        raise ValueError(f"it ended before it listened, or did not within {seconds:.0f} seconds")
    return int(line)


def variables(port: int | None) -> dict[str, str]:
    """The settings that make a server a temporary or a lasting one."""
    if port is None:
        return {"PREFECT_SERVER_UI_ENABLED": "false"}
    return {
        "PREFECT_SERVER_API_HOST": HOST,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_UI_API_URL": f"http://{HOST}:{port}/api",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
    }


def words(port: int | None) -> IO[bytes]:
    """A file for what a server says, at its end; a lasting one's is kept, also over its next starts.

    Whoever wants to know why it ended looks when it has long been started again.
    """
    if port is None:
        return tempfile.TemporaryFile()
    home = get_current_settings().home
    home.mkdir(parents=True, exist_ok=True)
    log = home / f"server-{port}.log"
    if log.exists() and log.stat().st_size >= LOG_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
    file = log.open("a+b")
    file.write(f"--- started on {datetime.now().astimezone():%Y-%m-%d %H:%M:%S %Z}\n".encode())
    file.flush()
    return file


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a server; one that has ended already takes no harm."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
    running.discard(process)


# Registered before Prefect's own exits, so run after them: they send what is still to be sent.
@atexit.register
def stop_all() -> None:
    """End all servers that this process has started."""
    for process in list(running):
        stop(process)


def be_server(port: int | None) -> None:
    """Be a server: print the port, and serve until standard input ends."""
    import uvicorn
    from prefect.server.api.server import create_app

    threading.Thread(target=end_with_input, daemon=True).start()
    app: Any = create_app(ephemeral=port is None, final=True)
    with socket.create_server((HOST, port or 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nobody reads on
        config = uvicorn.Config(app, log_level="critical", lifespan="on", timeout_graceful_shutdown=3)
        uvicorn.Server(config).run(sockets=[listener])


def end_with_input() -> None:
    """Wait for the end of standard input, which comes when its writer has ended; then end this process."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    be_server(int(sys.argv[1]) if sys.argv[1:] else None)
