"""Prefect's server for months, on this machine alone: with its UI, started again if it dies, ended with `serve`."""

import subprocess
import time

from flows.server import NoServer, start_server, stop
from flows.serving.serve import check_port
from tasks.console import warn

PATIENCE = 60.0
"""Seconds between two tries to start it again."""


class LastingServer:
    """A server that is kept; none at all until it is started, which is left out where PREFECT_API_URL names another."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._try_at = 0.0

    def start(self) -> str:
        """Start it, and return its API's address when it answers.

        Raises:
            WudiError: The port is taken.
            NoServer: It does not start.
        """
        check_port(self._port)
        self._process, url = start_server(self._port)
        return url

    def keep(self) -> None:
        """Start it again if it has ended; when that fails, it is tried again after a minute."""
        if self._process is None or self._process.poll() is None or time.monotonic() < self._try_at:
            return
        warn(f"Prefect's server has ended with status {self._process.returncode}, and is started again")
        stop(self._process)
        try:
            self._process, _ = start_server(self._port)
        except NoServer as error:
            self._try_at = time.monotonic() + PATIENCE
            warn(str(error))
