"""A webhook's receiver on the loopback address."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

PATH = "/services/T01/SECRET"


class Receiver:
    """Takes what is posted while a `with` block lasts; the first answers have the statuses of a list, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.requests: list[tuple[str, str, bytes]] = []
        """Path, content type, body."""
        self.held = threading.Event()
        """Answers come once it is set."""
        self.held.set()

    def __enter__(self) -> Self:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Answer,), {"receiver": self}))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.held.set()
        self.server.shutdown()
        self.server.server_close()

    @property
    def host(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def url(self) -> str:
        """With a secret in its path and in its query."""
        return f"{self.host}{PATH}?token=SECRET"

    def messages(self) -> list[Any]:
        """The bodies."""
        return [json.loads(body) for _, _, body in self.requests]


class Answer(BaseHTTPRequestHandler):
    """One request."""

    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.receiver.requests.append((self.path, self.headers.get("Content-Type", ""), body))
        self.receiver.held.wait(30)
        status = self.receiver.statuses.pop(0) if self.receiver.statuses else 200
        try:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.send_header("Location", self.path)
            self.end_headers()
        except OSError:  # the sender did not wait
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""
