"""A webhook's receiver on the loopback address."""

import json
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.loopback import Loopback

PATH = "/services/T01/SECRET"


class Receiver(Loopback):
    """Takes what is posted while a `with` block lasts; the first answers have the statuses of a list, then 200."""

    def __init__(self, *statuses: int) -> None:
        super().__init__(Answer)
        self.statuses = list(statuses)
        self.requests: list[tuple[str, str, bytes]] = []
        """Path, content type, body."""
        self.held = threading.Event()
        """Answers come once it is set."""
        self.held.set()

    def __exit__(self, *_: object) -> None:
        self.held.set()
        super().__exit__()

    @property
    def host(self) -> str:
        """Where it listens."""
        return super().url

    @property
    def url(self) -> str:
        """With a secret in its path and in its query."""
        return f"{self.host}{PATH}?token=SECRET"

    def messages(self) -> list[Any]:
        """The bodies."""
        return [json.loads(body) for _, _, body in self.requests]


class Answer(BaseHTTPRequestHandler):
    """One request."""

    hub: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.hub.requests.append((self.path, self.headers.get("Content-Type", ""), body))
        self.hub.held.wait(30)
        status = self.hub.statuses.pop(0) if self.hub.statuses else 200
        try:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.send_header("Location", self.path)
            self.end_headers()
        except OSError:  # the sender did not wait
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""
