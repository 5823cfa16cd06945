import fcntl
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import pytest
from prefect import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

from flows.gpus import Gpus, identity, kept_young, listed_gpus, try_lock, visible_gpus
from flows.slots import Place, Slots
from flows.stopping import Stopped
from tests.conftest import ROOT
from tests.flows.running import Repository, outcomes

WHOLE = "GPU 0: NVIDIA H200 (UUID: GPU-6a2b)\nGPU 1: NVIDIA H200 (UUID: GPU-77c1)\n"
SPLIT = "GPU 0: NVIDIA H200 (UUID: GPU-6a2b)\n  MIG 1g.18gb     Device  0: (UUID: MIG-0d3f)\n"

OTHER_RUN = """
import sys
from threading import Event
from flows.gpus import Gpus
with Gpus(sys.argv[1:]).take(1, Event()) as taken:
    print(*taken, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks of this test's own: other tests use the same names for GPUs that nobody has."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)


def test_gpus_are_those_that_cuda_shows(monkeypatch: pytest.MonkeyPatch):
    identifier = "GPU-8932f937-d72c-4106-c12f-10bd1a2e5f60"
    for value, gpus in {
        "": (),
        "-1": (),
        "2": ("2",),
        "0, 3": ("0", "3"),
        "1, -1,2": ("1",),
        f"{identifier},4": (identifier, "4"),
    }.items():
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
        assert visible_gpus(WHOLE) == gpus
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert visible_gpus(WHOLE) == listed_gpus(WHOLE) == ("0", "1")
    assert listed_gpus(SPLIT) == ("MIG-0d3f",)


def test_a_gpu_is_the_same_by_whatever_name():
    assert {identity(name, WHOLE) for name in ("1", "GPU-77c1", "GPU-7")} == {"GPU-77c1"}
    assert identity("MIG-0d3f", SPLIT) == "MIG-0d3f"
    assert identity("GPU-", WHOLE) == "GPU-"
    assert identity("5", "") == "5"


def test_slots_bound_what_runs_at_once():
    slots, stopping = Slots(1, Gpus(["5"])), Event()
    with slots.take(gpus=1, stopping=stopping) as first, slots.take(gpus=0, stopping=stopping) as second:
        assert (first.variables, second) == ({"CUDA_VISIBLE_DEVICES": "5"}, Place())
        stopping.set()
        for gpus in (0, 1):
            with pytest.raises(Stopped), slots.take(gpus=gpus, stopping=stopping):
                pass
    without_gpu = Slots(1, Gpus([]))
    with without_gpu.take(gpus=1, stopping=Event()) as place:
        assert place == Place()


def test_a_stage_of_several_gpus_waits_for_all_and_holds_none_meanwhile():
    slots, other, order = Slots(1, Gpus(["4", "7"])), Gpus(["4", "7"]), []

    def take_both() -> None:
        with slots.take(gpus=9, stopping=Event()) as place:
            order.append(place.variables["CUDA_VISIBLE_DEVICES"])

    with other.take(1, Event()) as taken:
        waiting = Thread(target=take_both)
        waiting.start()
        with other.take(1, Event()) as rest:  # another run's stage, which comes later, is not kept from the free one
            assert (*taken, *rest) == ("4", "7")
            order.append("other")
    waiting.join()
    assert order == ["other", "4,7"]


def test_two_runs_on_a_machine_share_no_gpu_and_a_dead_one_has_none(tmp_path: Path):
    command = [sys.executable, "-c", OTHER_RUN, "4", "7"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "4"
        with Gpus(["4", "7"]).take(1, Event()) as taken:
            assert list(taken) == ["7"]
        process.kill()
    with Gpus(["4", "7"]).take(2, Event()) as taken:
        assert list(taken) == ["4", "7"]
    locks = tmp_path / "wudi-gpus"
    assert (locks.stat().st_mode & 0o7777, {path.stat().st_mode & 0o777 for path in locks.iterdir()}) == (
        0o1777,
        {0o666},
    )


def test_the_file_of_a_taken_gpu_does_not_grow_old_and_a_lost_one_is_made_anew(tmp_path: Path):
    gpus, file = Gpus(["4"]), tmp_path / "wudi-gpus" / "4"
    for _ in range(2):
        with gpus.take(1, Event()) as taken:
            assert os.path.samestat(os.fstat(taken["4"]), file.stat())
        shutil.rmtree(file.parent)
    with gpus.take(1, Event()):
        os.utime(file, (0, 0))
    with gpus.take(1, Event()) as taken:
        assert file.stat().st_mtime > 0
        with kept_young(tuple(taken.values()), seconds=0.01):
            os.utime(file, (0, 0))
            while file.stat().st_mtime == 0:
                time.sleep(0.01)


def test_a_lock_counts_only_in_the_file_that_is_there(tmp_path: Path):
    """A cleaner removes the file all the time; what is locked was there after it was locked."""
    file, ended, had = tmp_path / "wudi-gpus" / "4", Event(), []

    def clean() -> None:
        while not ended.is_set():
            with suppress(FileNotFoundError):
                lock = os.open(file, os.O_RDONLY)
                with suppress(BlockingIOError):  # one that is careful, so that nobody's is removed
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    file.unlink()
                os.close(lock)

    cleaning = Thread(target=clean)
    cleaning.start()
    for _ in range(2000):
        lock = try_lock(file)
        if lock is not None:
            had.append(os.path.samestat(os.fstat(lock), file.stat()))
            os.close(lock)
    ended.set()
    cleaning.join()
    assert had and all(had)


@pytest.mark.usefixtures("server")
def test_stages_on_gpus_run_side_by_side_each_on_its_own(repository: Repository, monkeypatch: pytest.MonkeyPatch):
    stage = "{{cmd: 'touch {0}.on; for i in `seq 300`; do test -e {1}.on && break; sleep 0.1; done; test -e {1}.on && "
    stage += "echo $CUDA_VISIBLE_DEVICES > {0}', outs: [{0}], meta: {{gpu: 1}}}}"
    root = repository(f"stages:\n  x: {stage.format('x', 'y')}\n  y: {stage.format('y', 'x')}\n")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert outcomes(root, workers=1) == {"x": "ran", "y": "ran"}
    assert {(root / name).read_text().strip() for name in "xy"} == {"4", "7"}


@pytest.mark.usefixtures("server")
def test_a_limit_in_prefect_holds_gpu_stages_back(repository: Repository, monkeypatch: pytest.MonkeyPatch):
    """Each stage fails where the other is at work; before, none begins while the limit lets none."""
    stage = "{{cmd: 'mkdir on && sleep 0.5 && rmdir on && date +%s.%N > {0}', outs: [{0}], meta: {{gpu: 1}}}}"
    root = repository(f"stages:\n  x: {stage.format('x')}\n  y: {stage.format('y')}\n")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    with get_client(sync_client=True) as client:
        limit = client.create_concurrency_limit(tag="gpu", concurrency_limit=1)
        client.update_global_concurrency_limit("tag:gpu", GlobalConcurrencyLimitUpdate(active_slots=1))
        let: list[float] = []

        def let_one() -> None:
            time.sleep(3)
            let.append(time.time())
            client.update_global_concurrency_limit("tag:gpu", GlobalConcurrencyLimitUpdate(active_slots=0))

        letting = Thread(target=let_one)
        letting.start()
        try:
            assert outcomes(root) == {"x": "ran", "y": "ran"}
        finally:
            letting.join()
            client.delete_concurrency_limit_by_tag("gpu")
    assert min(float((root / name).read_text()) for name in "xy") > let[0]
    assert limit
