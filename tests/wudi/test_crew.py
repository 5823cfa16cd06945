"""What becomes of tasks whose workers die, whenever they do."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.wudi.dask_cluster import DaskCluster, wait_until
from wudi import WudiError, crew
from wudi.crew import Crew, crew_of


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    """A scheduler without workers, which gives a task up with the first worker that dies of it."""
    with DaskCluster(tmp_path, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as running:
        yield running


def kill(worker: subprocess.Popen[bytes]) -> None:
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()


class LosesResults(Crew):
    """One whose worker dies when its first task is finished, before what it returned is fetched."""

    dies: subprocess.Popen[bytes]

    def finished(self, running: Mapping[Any, str]) -> list[Any]:
        found = super().finished(running)
        if found and self.dies.poll() is None:
            kill(self.dies)
        return found


def test_a_task_that_its_worker_dies_of_is_given_up(cluster: DaskCluster) -> None:
    worker = cluster.worker()
    with crew_of(cluster.address) as found:

        def kill_when_busy() -> None:
            wait_until(lambda: any(found.client.processing().values()))
            kill(worker)

        killer = Thread(target=kill_when_busy)
        killer.start()
        with pytest.raises(WudiError, match=r"^a long one: the workers that took it died, 1 of them"):
            list(found.map(time.sleep, {"a long one": (600.0,)}))
        killer.join()


def test_a_result_lost_with_its_worker_is_made_by_another(cluster: DaskCluster) -> None:
    with crew_of(cluster.address) as found:
        losing = LosesResults(found.client, found.scheduler)
        losing.dies = cluster.worker()

        def replace() -> None:
            losing.dies.wait()
            others.append(cluster.worker())

        others: list[subprocess.Popen[bytes]] = []
        replacing = Thread(target=replace)
        replacing.start()
        answers = list(losing.map(os.getpid, {"process": ()}))
        replacing.join()
    assert answers == [("process", others[0].pid)]


def test_a_result_lost_with_the_last_worker_is_told(cluster: DaskCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "PATIENCE", 1.0)
    with crew_of(cluster.address) as found:
        losing = LosesResults(found.client, found.scheduler)
        losing.dies = cluster.worker()
        with pytest.raises(WudiError, match="has no workers; start some"):
            list(losing.map(os.getpid, {"process": ()}))


def test_what_a_task_raises_is_raised_here(cluster: DaskCluster) -> None:
    cluster.worker()
    with crew_of(cluster.address) as found, pytest.raises(TimeoutError, match="the disk sleeps"):
        list(found.map(exec, {"a mistake": ("raise TimeoutError('the disk sleeps')",)}))
