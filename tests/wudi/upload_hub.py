"""A small Hub on the loopback address that takes uploads as the real one does, and goes wrong when it is told to."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.loopback import Loopback

TOKEN = "hf_thetokenofthetest"


@dataclass
class Repository:
    """Files by branch, and whether others see them."""

    private: bool = False
    branches: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"main": {".gitattributes": b"*.bin\n"}})
    commits: list[dict[str, Any]] = field(default_factory=list)
    card: dict[str, Any] = field(default_factory=dict)
    """What its card declares."""

    def sha(self, branch: str) -> str:
        """A commit's id: of its files."""
        files = sorted((name, hashlib.sha1(data).hexdigest()) for name, data in self.branches[branch].items())
        return hashlib.sha1(repr((len(self.commits), files)).encode()).hexdigest()


class UploadHub(Loopback):
    """Keeps repositories while a `with` block lasts."""

    def __init__(self) -> None:
        super().__init__(Answer)
        self.repositories: dict[str, Repository] = {}
        self.stored: dict[str, bytes] = {}
        """Large files by their SHA-256, as soon as they are uploaded, whether or not a commit has them."""
        self.role = "write"
        self.requests: list[str] = []
        self.statuses: dict[str, list[int]] = {}
        """Answers to give first, by a part of the request's line."""
        self.cuts: dict[str, int] = {}
        """How often the connection breaks in the middle of the body, by a part of the request's line."""

    def put(self, name: str, files: dict[str, bytes], **options: Any) -> Repository:
        """A repository that is there before anyone pushes."""
        self.repositories[name] = Repository(branches={"main": files}, **options)
        return self.repositories[name]


def oid_of(content: bytes, mode: str) -> str:
    """The id under which git or its large file storage knows a file."""
    if mode == "lfs":
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Answer(BaseHTTPRequestHandler):
    """One request."""

    hub: UploadHub
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        path = unquote(urlsplit(self.path).path)
        line = f"{self.command} {path}"
        self.hub.requests.append(line)
        length = int(self.headers.get("Content-Length") or 0)
        for part in [part for part, count in self.hub.cuts.items() if part in line and count]:
            self.hub.cuts[part] -= 1
            self.rfile.read(length // 2)
            self.close_connection = True
            return
        body = self.rfile.read(length)
        for part, statuses in self.hub.statuses.items():
            if part in line and statuses:
                self.reply(statuses.pop(0), {"error": "as the test wants it"})
                return
        if not path.startswith("/lfs/") and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.reply(401, {"error": "Invalid credentials in Authorization header"}, header=True)
            return
        self.route(line, body)

    do_GET = do_HEAD = do_POST = do_PUT = handle_any  # noqa: N815

    def route(self, line: str, body: bytes) -> None:
        routes = {
            r"GET /api/whoami-v2": self.whoami,
            r"POST /api/repos/create": self.create,
            r"POST /api/validate-yaml": self.validate,
            r"GET /api/models/([^/]+/[^/]+)(?:/revision/(.+))?": self.info,
            r"POST /api/models/([^/]+/[^/]+)/branch/(.+)": self.branch,
            r"POST /api/models/([^/]+/[^/]+)/preupload/(.+)": self.preupload,
            r"POST /api/models/([^/]+/[^/]+)/commit/(.+)": self.commit,
            r"POST /([^/]+/[^/]+)\.git/info/lfs/objects/batch": self.batch,
            r"PUT /lfs/(\w+)": self.store,
            r"(?:GET|HEAD) /([^/]+/[^/]+)/resolve/([^/]+)/(.+)": self.resolve,
        }
        for pattern, answer in routes.items():
            if match := re.fullmatch(pattern, line):
                answer(body, *match.groups())
                return
        self.reply(404, {"error": f"no such route: {line}"})

    def whoami(self, _: bytes) -> None:
        orgs = [{"name": "lab", "roleInOrg": "write"}, {"name": "readers", "roleInOrg": "read"}]
        self.reply(200, {"name": "me", "orgs": orgs, "auth": {"accessToken": {"role": self.hub.role}}})

    def create(self, body: bytes) -> None:
        wanted = json.loads(body)
        name = f"{wanted['organization']}/{wanted['name']}"
        if name in self.hub.repositories:
            self.reply(409, {"error": "You already created this model repo"})
            return
        self.hub.repositories[name] = Repository(private=wanted.get("visibility") == "private")
        self.reply(200, {"url": f"{self.hub.url}/{name}", "name": name})

    def validate(self, body: bytes) -> None:
        sound = json.loads(body)["content"].startswith("---\n")
        errors = [] if sound else [{"message": "no metadata"}]
        self.reply(200 if sound else 400, {"errors": errors, "warnings": []})

    def info(self, _: bytes, name: str, branch: str | None) -> None:
        if (repository := self.found(name, branch or "main")) is not None:
            siblings = [{"rfilename": file} for file in repository.branches[branch or "main"]]
            sha = repository.sha(branch or "main")
            found = {"id": name, "sha": sha, "private": repository.private, "siblings": siblings}
            self.reply(200, found | {"cardData": repository.card})

    def branch(self, _: bytes, name: str, branch: str) -> None:
        repository = self.hub.repositories[name]
        if branch in repository.branches:
            self.reply(409, {"error": "Reference already exists"})
            return
        repository.branches[branch] = dict(repository.branches["main"])
        self.reply(201, {})

    def preupload(self, body: bytes, name: str, branch: str) -> None:
        there = self.hub.repositories[name].branches[branch]
        modes = []
        for path in (file["path"] for file in json.loads(body)["files"]):
            mode = "lfs" if path.endswith(".safetensors") else "regular"
            oid = oid_of(there[path], mode) if path in there else None
            modes.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self.reply(200, {"files": modes})

    def batch(self, body: bytes, _: str) -> None:
        wanted = json.loads(body)["objects"]
        objects = [
            each
            if each["oid"] in self.hub.stored
            else each | {"actions": {"upload": {"href": f"{self.hub.url}/lfs/{each['oid']}"}}}
            for each in wanted
        ]
        self.reply(200, {"transfer": "basic", "objects": objects})

    def store(self, body: bytes, oid: str) -> None:
        if hashlib.sha256(body).hexdigest() != oid:
            self.reply(400, {"error": "another content than its hash"})
            return
        self.hub.stored[oid] = body
        self.reply(200, {})

    def commit(self, body: bytes, name: str, branch: str) -> None:
        repository = self.hub.repositories[name]
        lines = [json.loads(line) for line in body.splitlines()]
        header, files = lines[0]["value"], dict(repository.branches[branch])
        if header["parentCommit"] != repository.sha(branch):
            self.reply(412, {"error": "A commit has happened since"})
            return
        for line in lines[1:]:
            value = line["value"]
            match line["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.hub.stored[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        repository.branches[branch] = files
        repository.commits.append(header)
        sha = repository.sha(branch)
        self.reply(200, {"commitUrl": f"{self.hub.url}/{name}/commit/{sha}", "commitOid": sha})

    def resolve(self, _: bytes, name: str, revision: str, file: str) -> None:
        repository = self.hub.repositories[name]
        branch = next(each for each in repository.branches if revision in (each, repository.sha(each)))
        content = repository.branches[branch].get(file)
        if content is None:
            self.reply(404, {"error": "Entry not found"}, **{"X-Error-Code": "EntryNotFound"})
            return
        etag = hashlib.sha1(content).hexdigest()
        self.reply(200, content, **{"ETag": f'"{etag}"', "X-Repo-Commit": repository.sha(branch)})

    def found(self, name: str, branch: str) -> Repository | None:
        repository = self.hub.repositories.get(name)
        if repository is None:
            self.reply(404, {"error": "Repository not found"}, **{"X-Error-Code": "RepoNotFound"})
        elif branch not in repository.branches:
            self.reply(404, {"error": "Revision not found"}, **{"X-Error-Code": "RevisionNotFound"})
        else:
            return repository
        return None

    def reply(self, status: int, content: Any, *, header: bool = False, **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        if header:
            self.send_header("X-Error-Message", content["error"])
        for name, value in ({"Content-Length": str(len(body)), "Content-Type": "application/json"} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
