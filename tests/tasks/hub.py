"""A Hub on the loopback address, as a child process."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self


class Hub:
    """`serve.py` on a free port while a `with` block lasts; options become its flags."""

    def __init__(self, server: Path, cache: Path, **options: Any) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        self.command = [sys.executable, str(server), f"--port={self.port}", *flags]
        self.environment = {
            "HF_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "HF_HOME": str(cache),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        raise RuntimeError("the Hub did not start")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()

    def client(self, project: Path) -> dict[str, str]:
        """The environment of a client that runs the project's commands in some other folder."""
        return {**os.environ, **self.environment, "PYTHONPATH": str(project)}
