import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from prefect import runner
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate

from flows import server
from flows.serving.heartbeat import watch_heartbeats
from tests.conftest import ROOT
from tests.flows.serving.boxes import Toy, wait_until

POOLS = ("process", "docker", "kubernetes")
TEMPLATES = Path(runner.__file__).parents[1] / "server/api/collections_data/views/aggregate-worker-metadata.json"


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toy]:
    """The toy with a lasting server, such as a team has."""
    toy = Toy(tmp_path)
    for name, value in toy.environment().items():
        monkeypatch.setenv(name, value)
    process, _ = server.start_server(toy.port)
    yield toy
    server.stop(process)


def prefect(toy: Toy, *words: str) -> subprocess.Popen[str]:
    """A command of Prefect against the toy's server, in the project's folder."""
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(ROOT)]).strip(os.pathsep)
    environment = {"PREFECT_API_URL": toy.url, "PYTHONPATH": path, "NIGHTLY_REPOSITORY": "https://git.test/wudi.git"}
    return subprocess.Popen(
        [sys.executable, "-m", "prefect", "--no-prompt", *words],
        cwd=ROOT,
        env={**toy.environment(), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def templates() -> dict[str, Any]:
    """What each kind of work pool takes, as Prefect has it from the makers of the workers."""
    text = TEMPLATES.read_text()
    workers = [worker for package in yaml.safe_load(text).values() for worker in package.values()]
    return {worker["type"]: worker["default_base_job_configuration"] for worker in workers}


def make_pools(client: SyncPrefectClient) -> None:
    """The pools of prefect.yaml, with the variables that a worker of the kind would give them."""
    for kind in POOLS:
        pool = WorkPoolCreate(name=f"nightly-{kind}", type=kind, base_job_template=templates()[kind])
        client.create_work_pool(pool)


def with_toy(toy: Toy, folder: Path) -> Path:
    """The project's prefect.yaml, and in it a further deployment like that for the process pool: of the toy night."""
    project = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    like = next(found for found in project["deployments"] if found["name"] == "process")
    places = {"repository": str(toy.repository), "workspace": str(toy.workspace)}
    changed = {"name": "toy", "entrypoint": "tests.flows.serving.toy_night.toy", "schedules": [], "parameters": places}
    project["deployments"].append({**like, **changed})
    file = folder / "prefect.yaml"
    file.write_text(yaml.safe_dump(project))
    return file


@pytest.mark.long
def test_deployments_for_pools_run_and_a_silent_run_has_crashed(toy: Toy, tmp_path: Path):
    with toy.client() as client:
        make_pools(client)
        deployed = prefect(toy, "deploy", "--all", "--prefect-file", str(with_toy(toy, tmp_path)))
        said, _ = deployed.communicate(timeout=300)
        assert deployed.returncode == 0, said
        for kind in POOLS:
            check(client, kind)
        for _ in range(2):
            watch_heartbeats("toy", silence=timedelta(seconds=15))
        assert len(client.read_automations()) == 1
    worker = prefect(toy, "worker", "start", "--pool", "nightly-process", "--type", "process", "--name", "box")
    family = [psutil.Process(worker.pid)]
    try:
        run_one(toy)
        assert toy.names() == ["Completed"]
        toy.hold.touch()
        run_one(toy)
        wait_until(lambda: len(toy.starts()) == 2)
        family += family[0].children(recursive=True)
    finally:
        for member in reversed(family):
            member.kill()
        worker.communicate(timeout=60)
    wait_until(lambda: toy.names() == ["Completed", "Crashed"])
    assert "no heartbeat" in str(toy.runs()[-1].state)


def run_one(toy: Toy) -> None:
    """Have the toy's deployment run, and wait for its end or for its being held."""
    with toy.client() as client:
        client.create_flow_run_from_deployment(client.read_deployment_by_name("toy/toy").id)
    wait_until(lambda: toy.hold.exists() or toy.names() == ["Completed"])


def check(client: SyncPrefectClient, kind: str) -> None:
    """A deployment runs every night, one at a time, in a job of which its pool knows all the variables."""
    deployment = client.read_deployment_by_name(f"nightly/{kind}")
    assert deployment.global_concurrency_limit is not None and deployment.concurrency_options is not None
    assert deployment.global_concurrency_limit.limit == 1
    assert deployment.concurrency_options.collision_strategy == "ENQUEUE"
    assert [schedule.active for schedule in deployment.schedules] == [True]
    assert set(deployment.job_variables or {}) <= set(templates()[kind]["variables"]["properties"])
    assert all(deployment.parameters[name] for name in ("repository", "branch", "results", "timezone"))
