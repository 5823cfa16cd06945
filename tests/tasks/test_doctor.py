"""`python -m tasks.doctor` on this machine: in a project, beside one, and with much of it broken."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from tasks.doctor import examine
from tests.conftest import ROOT
from tests.tasks.hub_server import Fault, HubServer, Repository
from tests.tasks.small_project import make_project

TOKEN = "hf_a-secret-that-nobody-is-shown"
PARAMS = """
base: {source: us/base, revision: null}
experts: {math: {source: us/math, revision: null, benchmarks: [math]}}
recipes: {average: {method: average}}
merge: {device: "cuda:0", vocabulary: error}
evaluation: {backend: hf, benchmarks: {math: {task: zoo_math}}}
zoo: {seed: 0, base_steps: 1, expert_steps: 1}
"""


def doctor(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "HF_", "WUDI_"))}
    environment = {**kept, "HF_HOME": str(folder / "home"), "PREFECT_HOME": str(folder / "home"), **variables}
    return subprocess.run(
        [sys.executable, "-m", "tasks.doctor", *words],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def found(folder: Path, **variables: str) -> dict[str, dict[str, str]]:
    """What the doctor says, by name; of two findings of one name the last."""
    run = doctor(folder, "--json", **variables)
    assert run.stderr == "", run.stderr
    assert TOKEN not in run.stdout
    told: dict[str, Any] = json.loads(run.stdout)
    assert run.returncode == (1 if told["problems"] else 0)
    assert told["problems"] == sum(finding["state"] == "problem" for finding in told["findings"])
    return {finding["name"]: finding for finding in told["findings"]}


def found_here() -> dict[str, dict[str, str]]:
    """The same in this process, which has loaded torch already."""
    return {finding.name: asdict(finding) for finding in examine()}


class Prefect(BaseHTTPRequestHandler):
    """A server of Prefect's as far as the doctor asks, or one that refuses, or never answers."""

    said = ""
    status = 200
    held = Event()

    def do_GET(self) -> None:
        if self.path.startswith("/hangs"):
            self.held.wait(60)
        content = json.dumps(self.said if self.path.endswith("/admin/version") else True).encode()
        self.send_response(401 if self.path.startswith("/locked") else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def prefect(said: str) -> Iterator[str]:
    held = Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Prefect,), {"said": said, "held": held}))
    server.daemon_threads = True
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://somebody:password@127.0.0.1:{server.server_port}"
    held.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in git and DVC, with a remote whose disk is not mounted and a lock of a process that was killed."""
    folder = tmp_path_factory.mktemp("project")
    make_project(folder)
    for words in (["git", "init", "--quiet"], [sys.executable, "-m", "dvc", "init", "--quiet"]):
        subprocess.run(words, cwd=folder, check=True)
    remote = ["remote", "add", "--quiet", "--default", "store", str(folder / "not-mounted" / "store")]
    subprocess.run([sys.executable, "-m", "dvc", *remote], cwd=folder, check=True)
    return folder


def test_a_sound_project_has_a_line_each_and_status_0(project: Path) -> None:
    (project / ".dvc" / "config").rename(project / ".dvc" / "config.aside")
    run = doctor(project)
    (project / ".dvc" / "config.aside").rename(project / ".dvc" / "config")
    assert (run.returncode, run.stderr) == (0, ""), run.stdout
    *lines, last = run.stdout.splitlines()
    assert last.startswith("nothing is in the way of a run")
    assert "\x1b" not in run.stdout
    assert {line.split()[0] for line in lines} <= {"ok", "note", "to"}
    for words in ("Python", "torch", "GPU", "CPU", "bubblewrap", "disk", "DVC remote", "Hub token", "Prefect"):
        assert sum(line[9:].startswith(words) for line in lines) == 1, words


def test_beside_a_project_the_machine_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen = found_here()
    assert seen["params.yaml"]["state"] == "note"
    assert "DVC" not in seen
    assert seen["torch"]["text"].startswith(version("torch"))


def test_what_is_broken_is_a_problem_with_its_remedy(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    (project / ".dvc" / "tmp" / "rwlock").write_text('{"write": {"a":')
    (project / "bin").mkdir()
    (project / "bin" / "git").symlink_to(shutil.which("git") or "")
    with prefect("3.0.0") as url, monkeypatch.context() as patch:
        patch.setenv("PATH", str(project / "bin"))
        patch.setenv("PREFECT_API_URL", f"{url}/api")
        seen = found_here()
    (project / ".dvc" / "tmp" / "rwlock").write_text('{"read": {"a": [{"pid": 4194305, "cmd": "dvc"}]}}')
    broken = {name: finding for name, finding in seen.items() if finding["state"] == "problem"}
    assert set(broken) == {"bubblewrap", "DVC remote", "locks"}
    assert all(finding["remedy"] for finding in broken.values())
    assert "not-mounted" in seen["DVC remote"]["text"]
    assert "bubblewrap" in seen["bubblewrap"]["remedy"]
    assert seen["Prefect"]["state"] == "note"
    assert "3.0.0" in seen["Prefect"]["text"]
    assert "password" not in seen["Prefect"]["text"]
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    later = found_here()
    assert later["locks"]["state"] == "note"
    assert later["Prefect"]["state"] == "problem"


def test_mistakes_in_params_are_told_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(
        PARAMS.replace("average}", "avrage}").replace("zoo_math", "zoo_math, limit: 0")
    )
    seen = found_here()
    assert "did you mean average?" in seen["params.yaml"]["text"]
    assert "evaluation.benchmarks.math.limit" in seen["params.yaml"]["text"]
    assert seen["DVC"]["remedy"] == "dvc init"


def test_the_hub_is_asked_and_a_server_that_hangs_holds_up_nothing(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(PARAMS)
    files = {"config.json": b"{}", "model.safetensors": b"\0" * 1000}
    with HubServer() as hub, prefect("") as url:
        for name in ("us/base", "us/math"):
            hub.repositories.setdefault(name, Repository()).commit("main", files)
        hub.announced["model.safetensors"] = 10**15
        variables = {"HF_ENDPOINT": hub.url, "PREFECT_API_URL": f"{url}/hangs"}
        open_to_all = found(tmp_path, **variables)
        hub.repositories["us/math"].terms = "another-token"
        hub.faults.append(Fault("whoami", status=401))
        gated = found(tmp_path, HF_TOKEN=TOKEN, **variables | {"PREFECT_API_URL": f"{url}/locked"})
    assert open_to_all["Hub models"]["text"] == "all 2 can be read"
    assert open_to_all["room"]["state"] == "problem"
    assert open_to_all["Prefect"]["state"] != "ok"
    assert open_to_all["GPU"]["state"] == "problem" or "GB" in open_to_all["GPU"]["text"]
    assert gated["Hub models"]["state"] == "problem"
    assert "experts.math" in gated["Hub models"]["text"]
    assert "accept its terms" in gated["Hub models"]["text"]
    assert "PREFECT_API_KEY" in gated["Prefect"]["remedy"]
    assert gated["Hub token"]["state"] == "problem"
    assert "status 401" in gated["Hub token"]["text"]
