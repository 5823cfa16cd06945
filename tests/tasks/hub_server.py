"""A small Hub on the loopback address: what its client asks of it, and what goes wrong on the way."""

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.loopback import Loopback

Files = dict[str, bytes]
ALWAYS = 1_000_000
PIECE = 4096


@dataclass
class Repository:
    """Commits with their files, and what branches and tags name."""

    commits: dict[str, Files] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    token: str | None = None
    """Whoever does not send it is told that there is no such repository."""
    terms: str | None = None
    """The token of the account that accepted the terms: all see the listing, it alone sees the files."""

    def commit(self, name: str, files: Files) -> str:
        """Move a branch to a new commit."""
        content = repr((len(self.commits), sorted(files))).encode()
        commit = hashlib.sha1(content + b"".join(files.values())).hexdigest()
        self.commits[commit] = dict(files)
        self.names[name] = commit
        return commit


@dataclass
class Fault:
    """What goes wrong with the first `times` requests whose `METHOD /path` matches."""

    where: str
    times: int = ALWAYS
    status: int = 0
    headers: dict[str, str] = field(default_factory=lambda: {"Retry-After": "0"})
    cut: bool = False
    """Half of the bytes come, then the connection ends."""
    wrong: bool = False
    """One byte comes changed."""
    then: Callable[[], object] = lambda: None
    """Done before the request is answered."""


class HubServer(Loopback):
    """Serves `repositories` while a `with` block lasts."""

    def __init__(self) -> None:
        super().__init__(Answer)
        self.repositories: dict[str, Repository] = {}
        self.faults: list[Fault] = []
        self.pause = 0.0
        """Seconds between two pieces of a file."""
        self.announced: dict[str, int] = {}
        """Other sizes than the true ones in listings."""
        self.requests: list[str] = []
        self.lock = threading.Lock()

    def publish(self, name: str, folder: Path, branch: str = "main") -> str:
        """Make a folder the newest commit of a branch."""
        files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        return self.repositories.setdefault(name, Repository()).commit(branch, files)

    def fault(self, request: str) -> Fault:
        """What goes wrong with a request, which is noted."""
        with self.lock:
            self.requests.append(request)
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.where, request):
                    fault.times -= 1
                    return fault
        return Fault("", 0)

    def times_asked(self, pattern: str) -> int:
        """How many requests matched."""
        return sum(bool(re.search(pattern, request)) for request in list(self.requests))


class Answer(BaseHTTPRequestHandler):
    """One request."""

    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        fault = self.hub.fault(f"{self.command} {path}")
        fault.then()
        if fault.status:
            self.reply(fault.status, b"", **fault.headers)
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/(.+))?", path):
            self.listing(match[1], match[2] or "revision", match[3] or "main")
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([0-9a-f]{40})/(.+)", path):
            self.file(match[1], match[2], match[3], fault)
        elif match := re.fullmatch(r"/store/([^/]+/[^/]+)/([0-9a-f]{40})/(.+)", path):
            self.content(self.hub.repositories[match[1]].commits[match[2]][match[3]], fault)
        else:
            self.reply(404)

    def do_HEAD(self) -> None:
        self.do_GET()

    def allowed(self, name: str, files: bool) -> Repository | None:
        """The repository, where the sender may see it; whoever may not is told so."""
        repository = self.hub.repositories.get(name)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if repository is None or repository.token not in (None, token):
            self.reply(404 if token else 401, **{"X-Error-Code": "RepoNotFound"})
            return None
        if files and repository.terms not in (None, token):
            self.reply(403 if token else 401, **{"X-Error-Code": "GatedRepo"})
            return None
        return repository

    def listing(self, name: str, form: str, revision: str) -> None:
        repository = self.allowed(name, files=False)
        if repository is None:
            return
        commit = repository.names.get(revision, revision)
        if commit not in repository.commits:
            self.reply(404, **{"X-Error-Code": "RevisionNotFound"})
            return
        files = repository.commits[commit]
        if form == "tree":
            self.json([{"type": "file", "path": file, "oid": "0" * 40, "size": len(files[file])} for file in files])
        else:
            siblings = [sibling(file, content, self.hub.announced) for file, content in files.items()]
            self.json({"id": name, "sha": commit, "siblings": siblings})

    def file(self, name: str, commit: str, file: str, fault: Fault) -> None:
        repository = self.allowed(name, files=True)
        if repository is None:
            return
        content = repository.commits.get(commit, {}).get(file)
        if content is None:
            self.reply(404, **{"X-Error-Code": "EntryNotFound"})
            return
        # The store has another host name, as on the Hub: the client does not send the token there.
        headers = {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}
        if in_store(file):
            headers |= {"X-Linked-Size": str(len(content)), "X-Linked-ETag": f'"{sha256(content)}"'}
            headers["Location"] = f"{self.hub.url}/store/{name}/{commit}/{file}".replace("127.0.0.1", "localhost")
            self.reply(302, **headers)
        else:
            self.content(content, fault, **headers)

    def content(self, content: bytes, fault: Fault, **headers: str) -> None:
        """A file or the range of it that is asked for."""
        total, first = len(content), 0
        if match := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            first = int(match[1])
            headers["Content-Range"] = f"bytes {first}-{total - 1}/{total}"
        sent = content[first:]
        if fault.wrong:
            sent = sent[:-1] + bytes([sent[-1] ^ 1])
        if fault.cut:
            headers["Content-Length"] = str(len(sent))
            sent = sent[: len(sent) // 2]
            self.close_connection = True
        self.reply(206 if first else 200, sent, **headers)

    def json(self, content: Any) -> None:
        self.reply(200, json.dumps(content).encode(), **{"Content-Type": "application/json"})

    def reply(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        try:
            for start in range(0, len(content), PIECE):
                self.wfile.write(content[start : start + PIECE])
                self.wfile.flush()
                time.sleep(self.hub.pause)
        except OSError:  # the client was killed
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def in_store(name: str) -> bool:
    """Whether a file is kept apart from git, with its SHA-256 in the listing."""
    return name.endswith((".safetensors", ".bin", ".pt"))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def sibling(name: str, content: bytes, announced: dict[str, int]) -> dict[str, Any]:
    """A file in the listing of a repository."""
    size = announced.get(name, len(content))
    found: dict[str, Any] = {"rfilename": name, "size": size, "blobId": hashlib.sha1(content).hexdigest()}
    if in_store(name):
        found["lfs"] = {"size": size, "sha256": sha256(content), "pointerSize": 130}
    return found
