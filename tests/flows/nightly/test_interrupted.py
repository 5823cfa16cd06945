import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Cancelled

from tests.flows.nightly.toy_project import ToyProject, in_hand, night, started, tags
from tests.flows.running import is_gone


@contextmanager
def halted(toy: ToyProject, stage: str, day: int, server: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A night in a process of its own that has come to a stage, which never ends; and that stage's process."""
    pid = toy.root.with_name("pid")
    pid.unlink(missing_ok=True)
    process = toy.start(day, PREFECT_API_URL=server, TOY_HALT=stage, TOY_PID=str(pid))
    try:
        yield process, int(in_hand(pid, process))
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)


def kill(process: subprocess.Popen[str], stage: int) -> None:
    """Let a night end as with its machine: at once, and its stage with it."""
    process.kill()
    process.wait()
    for _ in range(300):
        if is_gone(stage):
            return
        time.sleep(0.1)
    raise AssertionError("the stage outlived its night")


def test_a_killed_night_goes_on_at_its_stage(toy: ToyProject, server: str):
    toy.edit("scale: 0.5", "scale: 0.75")
    started(toy)
    with halted(toy, "evaluate", 2, server) as (process, stage):
        kill(process, stage)
    assert started(toy) == ["merge wudi", "evaluate"]
    assert night(toy, 2).is_completed()
    assert started(toy) == ["evaluate", "record"]
    assert tags(toy) == ["night/2026-11-01", "night/2026-11-02"]


@pytest.mark.long
def test_a_second_trigger_is_skipped_and_ctrl_c_ends_the_first(toy: ToyProject, server: str):
    toy.edit("scale: 0.5", "scale: 0.75")
    with halted(toy, "merge wudi", 2, server) as (process, stage):
        second = night(toy, 2)
        assert second.name == "Skipped"
        assert "another night is at work" in str(second.message)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.startswith("interrupted: run the same command again")
    assert is_gone(stage)
    assert tags(toy) == ["night/2026-11-01"]


@pytest.mark.long
def test_a_night_that_is_cancelled_in_prefect_ends_its_stages(toy: ToyProject, server: str):
    toy.edit("scale: 0.5", "scale: 0.75")
    with halted(toy, "merge wudi", 2, server) as (process, stage), get_client(sync_client=True) as client:
        named = FlowRunFilter(name=FlowRunFilterName(any_=["night 2026-11-02"]))
        run = client.read_flow_runs(flow_run_filter=named, sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=1)[0]
        client.set_flow_run_state(run.id, Cancelled())
        out, err = process.communicate(timeout=60)
        assert client.read_flow_run(run.id).state_name == "Cancelled"
    assert process.returncode == 1
    assert "cancelled in Prefect" in out
    assert err == ""
    assert is_gone(stage)
    assert tags(toy) == ["night/2026-11-01"]
