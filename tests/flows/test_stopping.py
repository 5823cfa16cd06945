import os
import re
import signal
import sys
from pathlib import Path

import psutil
import pytest
from prefect import flow, get_client
from prefect.exceptions import CancelledRun
from prefect.runtime import flow_run
from prefect.states import Cancelled, Cancelling

from flows.command import main
from flows.pipeline import pipeline
from tests.flows.running import Repository, after, command, is_gone, last_flow_run, wait_for
from tests.wudi.dask_cluster import wait_until

SLOW = "stages: {slow: {cmd: 'echo $$ > pid; exec sleep 300', outs: [slow]}}"


def test_ctrl_c_ends_the_stages_and_a_second_flow_is_kept_out_before(
    repository: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    root = repository("stages: {slow: {cmd: 'setsid sleep 300 & echo $! > pid; wait; touch slow', outs: [slow]}}")
    with command(root) as process:
        child = int(wait_for(root / "pid", process))
        monkeypatch.setattr(sys, "argv", ["flows.pipeline", "--root", str(root)])
        with pytest.raises(SystemExit, match="1"):
            main()
        assert f"another run is at work in this folder (process {process.pid})" in capsys.readouterr().err
        family = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out.strip(), len(err.splitlines())) == ("", 1)
    assert err.startswith("interrupted")
    assert is_gone(child)
    assert all(is_gone(member.pid) for member in family)


def test_cancellation_in_prefect_ends_the_stages(repository: Repository, server: str):
    root = repository(SLOW)
    with command(root, PREFECT_API_URL=server) as process, get_client(sync_client=True) as client:
        child = int(wait_for(root / "pid", process))
        last = last_flow_run(client)
        client.set_flow_run_state(last.id, Cancelled())
        out, err = process.communicate(timeout=60)
        assert client.read_flow_run(last.id).state_name == "Cancelled"
    assert process.returncode == 1
    assert re.match(r"stopped +slow", out)
    assert out.strip().splitlines()[-1].startswith("cancelled in Prefect")
    assert err == ""
    assert is_gone(child)


@pytest.mark.long
@pytest.mark.usefixtures("server")
def test_cancellation_of_a_flow_that_it_is_part_of_ends_the_stages(repository: Repository):
    root = repository(SLOW)
    runs: list[str] = []

    @flow
    def night(root: Path) -> None:
        pipeline(root)

    @flow
    def month(root: Path) -> None:
        runs.append(flow_run.id)
        night(root)

    def cancel(_: int) -> None:
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(runs[0], Cancelling())

    with after(root / "pid", cancel) as pids, pytest.raises(CancelledRun):
        month(root)
    assert is_gone(pids[0])


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_flow_that_is_ended_from_outside_leaves_no_stage(end: signal.Signals, repository: Repository, server: str):
    root = repository("stages: {slow: {cmd: 'setsid sleep 300 & echo $! > pid; wait; touch slow', outs: [slow]}}")
    with command(root, PREFECT_API_URL=server) as process:
        child = int(wait_for(root / "pid", process))
        process.send_signal(end)
        process.communicate(timeout=60)
        wait_until(lambda: is_gone(child))
    assert process.returncode == {signal.SIGTERM: 128 + signal.SIGTERM, signal.SIGKILL: -signal.SIGKILL}[end]
