"""A small Hub on the loopback address that serves ranges, and notes how far into each file they reach."""

import json
import re
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.loopback import Loopback


class RangeHub(Loopback):
    """Serves folders as repositories while a `with` block lasts."""

    def __init__(self) -> None:
        super().__init__(Answer)
        self.folders: dict[str, Path] = {}
        self.revisions = {"main"}
        self.gated: set[str] = set()
        self.sent: dict[str, int] = {}
        """How many bytes of each file were sent, from its beginning to the last one, by OWNER/NAME/FILE."""
        self.requests: list[str] = []

    def weight_bytes_sent(self) -> int:
        """How many bytes went out of weights files that lie behind their headers."""
        files = {name: name.rsplit("/", 1) for name in self.sent if name.endswith(".safetensors")}
        heads = {name: head_size(self.folders[repository] / file) for name, (repository, file) in files.items()}
        return sum(max(self.sent[name] - head, 0) for name, head in heads.items())


def head_size(file: Path) -> int:
    with file.open("rb") as stream:
        return 8 + int.from_bytes(stream.read(8), "little")


class Answer(BaseHTTPRequestHandler):
    """One request."""

    hub: RangeHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(?:revision|tree)/(.+))?", path):
            self.listing(match[1], match[2] or "main", tree="/tree/" in path)
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self.file(match[1], match[3])
        else:
            self.reply(404)

    def listing(self, name: str, revision: str, tree: bool) -> None:
        folder = self.hub.folders.get(name)
        if folder is None:
            self.reply(401, **{"X-Error-Code": "RepoNotFound"})
        elif revision not in self.hub.revisions:
            self.reply(404, **{"X-Error-Code": "RevisionNotFound"})
        else:
            sizes = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
            files = [{"type": "file", "path": name, "oid": "0" * 40, "size": size} for name, size in sizes.items()]
            siblings = [{"rfilename": name, "size": size} for name, size in sizes.items()]
            self.json(files if tree else {"id": name, "sha": "0" * 40, "siblings": siblings})

    def file(self, name: str, file: str) -> None:
        path = self.hub.folders[name] / file
        if name in self.hub.gated:
            self.reply(401, **{"X-Error-Code": "GatedRepo"})
            return
        size = path.stat().st_size
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = (int(match[1]), int(match[2] or size - 1)) if match else (0, size - 1)
        with path.open("rb") as stream:  # the range alone: a file may be larger than the memory
            stream.seek(first)
            part = stream.read(last + 1 - first)
        self.hub.sent[f"{name}/{file}"] = max(first + len(part), self.hub.sent.get(f"{name}/{file}", 0))
        headers = {"Content-Range": f"bytes {first}-{last}/{size}"} if match else {}
        self.reply(206 if match else 200, part, ETag='"0"', **headers)

    def json(self, content: Any) -> None:
        self.reply(200, json.dumps(content).encode(), **{"Content-Type": "application/json"})

    def reply(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
