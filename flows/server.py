"""Prefect's API for one command at a terminal: the server that PREFECT_API_URL names, or a temporary, quiet one.

Prefect would start a temporary server by itself. That one prints its troubles between the lines of the run, gets the
terminal's Ctrl-C along with the flow, so that it is gone before the flow has reported its end, and outlives a flow
that is killed, at work on the next one's database. The one here has a session of its own, ends with the process that
started it, however that ends, and keeps its output for the case that it does not start.
"""

import atexit
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect.client.orchestration import get_client
from prefect.logging.configuration import setup_logging
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

from wudi.errors import WudiError


class NoServer(WudiError):
    """Prefect's API does not answer."""


@contextmanager
def api(*, verbose: bool) -> Iterator[None]:
    """Have an API to run flows against; meanwhile Prefect prints nothing, or with `verbose` the runs' logs.

    Raises:
        NoServer: The named server does not answer, or the temporary one does not start.
    """
    os.environ.setdefault("DO_NOT_TRACK", "1")
    print_logs_from("CRITICAL")
    url = get_current_settings().api.url or start_temporary_server()
    with temporary_settings({PREFECT_API_URL: url}):
        with get_client(sync_client=True) as client:
            problem = client.api_healthcheck()
        if problem is not None:
            raise NoServer(f"Prefect's API at {url} does not answer: start it, or unset PREFECT_API_URL to do without")
        if verbose:
            print_logs_from("INFO")
        try:
            yield
        finally:
            print_logs_from("CRITICAL")


def print_logs_from(level: str) -> None:
    """Print Prefect's log lines from this level on; the API gets all of them."""
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = level
    setup_logging()


def start_temporary_server() -> str:
    """Start a server that lives as long as this process, and return its API's address when it answers.

    Raises:
        NoServer: It does not start.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.server"],
            env={**os.environ, "PREFECT_SERVER_UI_ENABLED": "false"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        # Registered before Prefect's own exits, so run after them: they send what is still to be sent.
        atexit.register(stop, process)
        try:
            url = f"http://127.0.0.1:{int(process.stdout.readline())}/api"
            # The address takes connections before the server is ready; the answer comes when it is.
            httpx.get(f"{url}/health", timeout=get_current_settings().server.ephemeral.startup_timeout_seconds)
        except (ValueError, httpx.HTTPError) as error:
            said.seek(0)
            end = said.read().decode(errors="replace").strip().splitlines()[-5:]
            raise NoServer("\n".join(["Prefect's temporary server did not start:", *(end or [repr(error)])])) from error
    return url


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the temporary server."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def serve() -> None:
    """Be the temporary server: print the port, and serve until standard input ends."""
    import uvicorn
    from prefect.server.api.server import create_app

    threading.Thread(target=end_with_input, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(create_app(ephemeral=True, final=True), log_level="critical", lifespan="on")
        uvicorn.Server(config).run(sockets=[listener])


def end_with_input() -> None:
    """Wait for the end of standard input, which comes when its writer has ended; then end this process."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    serve()
