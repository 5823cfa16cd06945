import os
import signal
import sqlite3
from argparse import ArgumentParser
from pathlib import Path

import httpx
import pytest

from flows.nightly.options import add_options, parameters
from flows.serving import serve
from tests.flows.serving.boxes import Toy, is_gone, kill_all, said, server_of, wait_until
from wudi.errors import WudiError


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    return Toy(tmp_path)


@pytest.mark.long
def test_nights_come_by_themselves_and_one_at_a_time(toy: Toy):
    toy.hold.touch()
    with toy.serve("--interval", "20") as process:
        assert f"http://127.0.0.1:{toy.port}\n" in said(process, "serving toy/nightly: the next night is")
        wait_until(lambda: [run.state_name for run in toy.runs("inner")] == ["Running"])
        server = server_of(process)
        server.kill()
        said(process, "started again")
        wait_until(toy.answers)
        # What the one that died had to say is still there.
        assert (toy.home / f"server-{toy.port}.log").read_text().count("--- started") == 2
        assert "<title>Prefect" in httpx.get(f"http://127.0.0.1:{toy.port}", follow_redirects=True).text
        wait_until(lambda: len(toy.names()) > 1)
        assert len(toy.starts()) == 1
        toy.hold.unlink()
        wait_until(lambda: len(toy.starts()) > 1)
        # One ended before the other began, and outlived the server.
        assert [line.split()[0] for line in toy.nights()][:3] == ["start", "end", "start"]
        assert toy.names()[0] == "Completed"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    wait_until(lambda: is_gone(server.pid))


@pytest.mark.long
def test_a_night_without_power_is_made_again_at_once_and_only_once(toy: Toy):
    toy.hold.touch()
    with toy.serve("--cron", "0 2 * * *") as process:
        said(process, "serving")
        with toy.client() as client:
            deployment = client.read_deployment_by_name("toy/nightly").id
            client.create_flow_run_from_deployment(deployment)
        wait_until(lambda: [run.state_name for run in toy.runs("inner")] == ["Running"])
        kill_all(process, toy.starts()[0])
    with toy.serve("--cron", "0 2 * * *") as process:
        said(process, "had crashed")
        said(process, "did not end: it is made now")
        wait_until(lambda: len(toy.starts()) == 2)
        assert toy.names() == ["Crashed", "Running"]
        kill_all(process, toy.starts()[1])
    with toy.serve("--cron", "0 2 * * *") as process:
        said(process, "serving")
        assert toy.names() == ["Crashed", "Crashed"]
    with sqlite3.connect(toy.home / "prefect.db") as database:
        assert database.execute("select active_slots from concurrency_limit_v2").fetchall() == [(0,)]
        assert set(database.execute("select state_name from task_run").fetchall()) == {("Crashed",)}
        assert set(
            database.execute("select state_name from flow_run where parent_task_run_id is not null").fetchall()
        ) == {("Crashed",)}


@pytest.mark.long
def test_a_stopped_night_goes_on_and_a_missed_one_is_made(toy: Toy):
    toy.hold.touch()
    with toy.serve("--cron", "0 2 * * *") as process:
        said(process, "serving")
        with toy.client() as client:
            client.create_flow_run_from_deployment(client.read_deployment_by_name("toy/nightly").id)
        wait_until(lambda: len(toy.starts()) == 1)
        os.killpg(process.pid, signal.SIGINT)  # a Ctrl-C at a terminal
        said(process, "goes on when this is started again")
        assert process.wait(60) == 0
        assert is_gone(toy.starts()[0])
    toy.hold.unlink()
    with toy.serve("--cron", "0 2 * * *") as process:
        said(process, "did not end: it is made now")
        wait_until(lambda: toy.names() == ["Stopped", "Completed"])
    # Off for so long that Prefect had no run of it in its plan.
    with sqlite3.connect(toy.home / "prefect.db") as database:
        database.execute("delete from flow_run")
        database.execute("update deployment_schedule set created = '2026-01-01 00:00:00.000000'")
    with toy.serve("--cron", "0 2 * * *") as process:
        said(process, "was missed: it is made now")
        wait_until(lambda: toy.names() == ["Completed"])


def test_mistakes_are_told_at_once(tmp_path: Path):
    parser = ArgumentParser()
    add_options(parser)
    serve.add_arguments(parser)
    for words in (
        ["--cron", "at two"],
        ["--cron", "0 0 30 2 *"],
        ["--interval", "0"],
        ["--cron", "0 2 * * *", "--port", "0"],
    ):
        with pytest.raises(SystemExit):
            parser.parse_args(words)
    folder = tmp_path / "empty"
    folder.mkdir()
    with pytest.raises(WudiError, match=str(folder)):
        parameters(parser.parse_args(["--cron", "0 2 * * *", "--repository", str(folder)]))


@pytest.mark.long
def test_a_name_and_a_port_are_served_once(toy: Toy):
    with toy.serve("--cron", "0 2 * * *") as process:
        said(process, "serving")
        again, other = toy.serve("--cron", "0 2 * * *"), toy.serve("--cron", "0 2 * * *", "--name", "other")
        with again as second, other as third:
            said(second, "error: toy/nightly is served on this machine already")
            said(third, f"error: port {toy.port} is in use")
            assert second.wait(60) == third.wait(60) == 1
