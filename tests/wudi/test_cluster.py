"""Merging on a Dask cluster: the same bytes as here, whoever dies meanwhile, and clear words where it cannot be."""

import multiprocessing
import os
import pickle
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import moved, random_tensors, write_model
from tests.wudi.changed_experts import adapter
from tests.wudi.dask_cluster import DaskCluster, wait_until
from tests.wudi.merges import Trio, contents, interrupted, nothing_written, run, run_command
from wudi import Recipe, WudiError, cluster_tasks, crew
from wudi.checkpoint import Checkpoint
from wudi.experts import open_experts
from wudi.inputs import Inputs
from wudi.job import Job
from wudi.placement import place
from wudi.shards import record_name
from wudi.tensor_merge import TensorMerge

SHARDS = 6
SLOW = {"method": "wudi", "iterations": 300}
"""Takes some tenths of a second a shard."""
QUICK = {"method": "task_arithmetic"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """Two workers that live as long as the tests."""
    with DaskCluster(tmp_path_factory.mktemp("cluster")) as running:
        running.worker()
        running.worker()
        yield running


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[DaskCluster]:
    """A scheduler without workers."""
    (tmp_path / "cluster").mkdir()
    with DaskCluster(tmp_path / "cluster") as running:
        yield running


@pytest.fixture(scope="module")
def slowly(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the slow merge gives without a cluster."""
    folder = tmp_path_factory.mktemp("slowly")
    return contents(run(*trio_in(folder), folder / "out", SLOW).out)


@pytest.fixture
def trio(tmp_path: Path) -> Trio:
    """A base in several shards, and two experts of it."""
    return trio_in(tmp_path)


def trio_in(folder: Path) -> Trio:
    base = random_tensors(0)
    experts = [write_model(folder / f"expert{seed}", moved(base, seed)) for seed in (1, 2)]
    return write_model(folder / "base", base, shards=SHARDS), experts


def started(function: Any, *arguments: Any, **options: Any) -> tuple[threading.Thread, list[Any]]:
    """A call in another thread, and what will have come of it: a result or an error."""
    came: list[Any] = []

    def call() -> None:
        try:
            came.append(function(*arguments, **options))
        except WudiError as error:
            came.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    return thread, came


def finished_shards(out: Path) -> list[str]:
    folder = out.with_name(f"{out.name}.partial")
    return sorted(file.name for file in folder.glob(record_name("*.safetensors")))


@pytest.mark.parametrize("method", ["task_arithmetic", "ties", "pcb", "wudi"])
def test_the_same_bytes_as_without_a_cluster(method: str, cluster: DaskCluster, trio: Trio, tmp_path: Path) -> None:
    recipe = {"method": method} | ({"iterations": 20} if method == "wudi" else {})
    far = run(*trio, tmp_path / "far", recipe, scheduler=cluster.address, measure=True)
    here = run(*trio, tmp_path / "here", recipe, measure=True)
    assert contents(far.out) == contents(here.out)
    assert far.tensor_seconds.keys() == here.tensor_seconds.keys()


def test_an_adapter_and_another_dtype(cluster: DaskCluster, trio: Trio, tmp_path: Path) -> None:
    experts = [trio[1][0], adapter(tmp_path / "adapter")]
    far, here = (
        run(trio[0], experts, tmp_path / name, QUICK, dtype="bfloat16", scheduler=scheduler).out
        for name, scheduler in {"far": cluster.address, "here": None}.items()
    )
    assert contents(far) == contents(here)


def test_a_lost_workers_shard_is_written_by_another(
    cluster: DaskCluster, trio: Trio, tmp_path: Path, slowly: dict[str, bytes]
) -> None:
    third = cluster.worker()
    merging, came = started(run, *trio, tmp_path / "far", SLOW, scheduler=cluster.address)
    wait_until(lambda: cluster.is_busy(third))
    os.kill(third.pid, signal.SIGKILL)
    merging.join()
    assert contents(came[0].out) == slowly


@pytest.mark.parametrize("first", ["here", "there"])
def test_what_was_begun_on_one_side_is_finished_on_the_other(
    first: str, cluster: DaskCluster, trio: Trio, tmp_path: Path
) -> None:
    one, other = (None, cluster.address) if first == "here" else (cluster.address, None)
    out = tmp_path / "out"
    interrupted(trio, out, QUICK, 6, scheduler=one)
    kept = {name: times(out, name) for name in finished_shards(out)}
    assert 0 < len(kept) < SHARDS
    interrupted(trio, out, QUICK, 2, scheduler=other)
    assert {name: times(out, name) for name in kept} == kept
    assert contents(run(*trio, out, QUICK, scheduler=other).out) == contents(run(*trio, tmp_path / "here", QUICK).out)


def times(out: Path, record: str) -> int:
    """When a shard was written."""
    return (out.with_name(f"{out.name}.partial") / record.removesuffix(".json")).stat().st_mtime_ns


def test_shards_of_other_inputs_are_written_again(cluster: DaskCluster, trio: Trio, tmp_path: Path) -> None:
    interrupted(trio, tmp_path / "out", QUICK, 6, scheduler=cluster.address)
    shutil.rmtree(trio[1][1])
    write_model(trio[1][1], moved(random_tensors(0), 9))
    out = run(*trio, tmp_path / "out", QUICK, scheduler=cluster.address).out
    assert contents(out) == contents(run(*trio, tmp_path / "here", QUICK).out)


def test_kill_9_of_the_one_that_asks(
    cluster: DaskCluster, trio: Trio, tmp_path: Path, slowly: dict[str, bytes]
) -> None:
    out = tmp_path / "out"
    call = {"args": (*trio, out, SLOW), "kwargs": {"scheduler": cluster.address}}
    process = multiprocessing.get_context("spawn").Process(target=run, **call)
    process.start()
    wait_until(lambda: bool(finished_shards(out)))
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not out.exists()
    assert contents(run(*trio, out, SLOW).out) == slowly


def test_a_mistake_is_told_once_and_as_here(
    cluster: DaskCluster, trio: Trio, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bad = moved(random_tensors(0), 3)
    bad["lm_head.weight"][0, 0] = torch.nan
    experts = [*trio[1], write_model(tmp_path / "bad", bad)]
    with pytest.raises(SystemExit, match=r"^error: expert bad .*lm_head.weight holds NaN") as ended:
        run_command(trio[0], experts, tmp_path / "out", "--method=average", f"--scheduler={cluster.address}")
    assert "\n" not in str(ended.value) and capfd.readouterr().err == ""


def test_no_scheduler(trio: Trio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "CONNECT", 0.5)
    with pytest.raises(SystemExit, match=r"^error: scheduler tcp://127\.0\.0\.1:1: no Dask scheduler answers there"):
        run_command(*trio, tmp_path / "out", "--method=average", "--scheduler=tcp://127.0.0.1:1")
    assert nothing_written(tmp_path / "out")


@pytest.mark.long
def test_a_cluster_that_loses_its_only_worker_and_gets_another_too_late(
    empty: DaskCluster, trio: Trio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "PATIENCE", 1.0)
    with pytest.raises(WudiError, match="has no workers; start some"):
        run(*trio, tmp_path / "out", SLOW, scheduler=empty.address)
    worker = empty.worker()
    merging, came = started(run, *trio, tmp_path / "out", SLOW, scheduler=empty.address)
    wait_until(lambda: bool(came or finished_shards(tmp_path / "out")))
    os.kill(worker.pid, signal.SIGKILL)
    merging.join()
    assert "has no workers; start some" in str(came[0])
    assert finished_shards(tmp_path / "out")


def test_a_scheduler_that_goes_away(empty: DaskCluster, trio: Trio, tmp_path: Path) -> None:
    empty.worker()
    merging, came = started(run, *trio, tmp_path / "out", SLOW, scheduler=empty.address)
    wait_until(lambda: bool(came or finished_shards(tmp_path / "out")))
    os.kill(empty.scheduler.pid, signal.SIGKILL)
    merging.join()
    assert "the connection is lost" in str(came[0])


def test_workers_that_round_differently_are_refused(empty: DaskCluster, trio: Trio, tmp_path: Path) -> None:
    other = tmp_path / "packages" / "wudi-9.9.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: wudi\nVersion: 9.9\n")
    for environment, words in {
        ("PYTHONPATH", str(other.parent)): "wudi is 9.9, but",
        ("ATEN_CPU_CAPABILITY", "default"): "CPU instructions is DEFAULT, but",
    }.items():
        worker = empty.worker(**dict([environment]))
        with pytest.raises(WudiError, match=f"worker tcp://.*: {words}"):
            run(*trio, tmp_path / "out", QUICK, scheduler=empty.address)
        worker.kill()
        worker.wait()
        wait_until(lambda: not empty.workers())
    assert nothing_written(tmp_path / "out")


def job_of(trio: Trio) -> Job:
    tensors = TensorMerge(Inputs(Checkpoint(trio[0]), open_experts(trio[1])), Recipe.parse(QUICK), measures=True)
    return Job(tensors, place("cpu", None, tensors), "auto", "float32")


def test_an_order_without_its_files_is_refused(trio: Trio, tmp_path: Path) -> None:
    job = job_of(trio)
    order = cluster_tasks.Order.of(job, tmp_path / "out.partial", "cpu", None)
    with pytest.raises(WudiError, match=r"out.partial: is not what it is on the machine that asks"):
        cluster_tasks.check(order)
    cluster_tasks.opened.cache_clear()
    write_model(tmp_path / "other", random_tensors(0), shards=SHARDS - 1)
    trio[0].rename(tmp_path / "away")
    with pytest.raises(WudiError, match="base: found nothing"):
        cluster_tasks.check(order)
    (tmp_path / "other").rename(trio[0])
    with pytest.raises(WudiError, match=r"base: the merge is another one here \(headers\)"):
        cluster_tasks.check(order)


def test_a_job_is_the_same_in_another_process(trio: Trio, tmp_path: Path) -> None:
    job = job_of((trio[0], [*trio[1], adapter(tmp_path / "adapter")]))
    assert job.tensors.selection.tensors  # what is known already goes along
    again = pickle.loads(pickle.dumps(job))
    assert again.plan() == job.plan()
    assert again.tensors.selection == job.tensors.selection
