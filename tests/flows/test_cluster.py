"""The flow on a real Dask cluster: a scheduler and workers in processes of their own, which share the workspace."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from prefect import get_client
from prefect.exceptions import CancelledRun
from prefect.states import Cancelled

from flows.pipeline import PipelineFailed
from tests.conftest import ROOT
from tests.flows.running import (
    Repository,
    after,
    command,
    is_gone,
    last_flow_run,
    logged_lines,
    outcomes,
    recorded_tasks,
    wait_for,
)
from tests.wudi.dask_cluster import DaskCluster, wait_until
from wudi.errors import WudiError

pytestmark = pytest.mark.usefixtures("server")

SLOW = "stages: {slow: {cmd: 'echo $$ > pid; exec sleep 300', outs: [slow]}}"


class GpuCluster(DaskCluster):
    """A cluster whose workers offer a GPU each."""

    def worker(self, **environment: str) -> subprocess.Popen[bytes]:
        """Start a worker that nobody starts again when it dies."""
        count = len(self.workers())
        flags = ["--no-nanny", "--nthreads=1", f"--local-directory={self.folder}", "--resources=GPU=1"]
        process = self.start("worker", self.address, *flags, **environment)
        wait_until(lambda: len(self.workers()) > count)
        return process


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GpuCluster]:
    """A scheduler and two workers, each with a GPU that others do not see."""
    with GpuCluster(tmp_path_factory.mktemp("dask")) as found:
        for device in "47":
            found.worker(CUDA_VISIBLE_DEVICES=device, TMPDIR=str(found.folder), WUDI_SCHEDULER=found.address)
        yield found


def test_stages_run_on_workers_each_gpu_stage_on_a_gpu_of_its_own(
    cluster: GpuCluster, repository: Repository, monkeypatch: pytest.MonkeyPatch
):
    meet = "touch {0}.on; for i in `seq 300`; do test -e {1}.on && break; sleep 0.1; done; test -e {1}.on && "
    meet += "echo $CUDA_VISIBLE_DEVICES $WUDI_SCHEDULER > {0}"
    stage = "{{cmd: '" + meet + "', outs: [{0}], meta: {{gpu: 9}}}}"
    bad = "{cmd: test -e nothing, deps: [x]}"
    root = repository(f"stages:\n  x: {stage.format('x', 'y')}\n  y: {stage.format('y', 'x')}\n  bad: {bad}\n")
    monkeypatch.chdir(root)
    with pytest.raises(PipelineFailed, match=r"bad failed:\n.*exited with 1") as failure:
        outcomes(Path(), scheduler=cluster.address)
    assert "`dvc repro bad`" in str(failure.value)
    assert {(root / name).read_text().strip() for name in "xy"} == {"4", "7"}
    tasks = recorded_tasks({"x", "y", "bad"})
    assert {name: run.state_name for name, run in tasks.items()} == {"x": "Ran", "y": "Ran", "bad": "Failed"}
    assert "Running stage 'x':" in logged_lines(tasks["x"], "Running stage 'x':")
    assert outcomes(root, "x", scheduler=cluster.address) == {"x": "unchanged"}


def test_cancellation_ends_the_stages_on_workers(cluster: GpuCluster, repository: Repository):
    root = repository(SLOW)

    def cancel(_: int) -> None:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(last_flow_run(client).id, Cancelled())

    with after(root / "pid", cancel) as pids, pytest.raises(CancelledRun):
        outcomes(root, scheduler=cluster.address)
    assert is_gone(pids[0])


def test_a_flow_that_is_killed_leaves_no_stage_on_workers(cluster: GpuCluster, repository: Repository, server: str):
    root = repository(SLOW)
    with command(root, "--scheduler", cluster.address, PREFECT_API_URL=server) as process:
        child = int(wait_for(root / "pid", process))
        process.kill()
        wait_until(lambda: is_gone(child))


def test_a_stage_whose_worker_dies_is_run_by_another(cluster: GpuCluster, repository: Repository):
    first_waits = "test -e pid && echo > slow || { echo $$ > pid; exec sleep 300; }"
    root = repository(f"stages: {{slow: {{cmd: '{first_waits}', outs: [slow]}}}}")

    def kill_worker(pid: int) -> None:
        workers = {worker.pid: worker for worker in cluster.processes}
        next(workers[parent.pid] for parent in psutil.Process(pid).parents() if parent.pid in workers).kill()

    with after(root / "pid", kill_worker) as pids:
        assert outcomes(root, scheduler=cluster.address) == {"slow": "ran"}
    assert is_gone(pids[0])


def test_mistakes_about_a_cluster_are_told_before_a_stage_starts(
    cluster: GpuCluster, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = repository(a="1")
    with pytest.raises(WudiError, match="got 'there'; takes the address of a Dask scheduler"):
        outcomes(root, scheduler="there")
    shadow = tmp_path / "shadow" / "flows"
    shutil.copytree(ROOT / "flows", shadow, ignore=shutil.ignore_patterns("__pycache__"))
    (shadow / "kinds.py").write_text((shadow / "kinds.py").read_text() + "# edited\n")
    cluster.worker(PYTHONPATH=str(shadow.parent))
    with pytest.raises(WudiError, match=r"worker tcp://.*: has other code of the package flows"):
        outcomes(root, scheduler=cluster.address)
    monkeypatch.setitem(sys.modules, "prefect_dask", None)
    with pytest.raises(WudiError, match=r"pip install 'wudi\[dask\]'"):
        outcomes(root, scheduler=cluster.address)
    assert not (root / "dvc.lock").exists()


@pytest.mark.long
def test_a_lost_scheduler_ends_the_run_and_its_stages(repository: Repository, tmp_path: Path):
    root = repository(SLOW)
    with GpuCluster(tmp_path) as cluster:
        cluster.worker()
        with after(root / "pid", lambda _: cluster.scheduler.kill()) as pids:
            with pytest.raises(WudiError, match="the connection is lost"):
                outcomes(root, scheduler=cluster.address)
            wait_until(lambda: is_gone(pids[0]))
