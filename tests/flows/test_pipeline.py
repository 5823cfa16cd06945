import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, LogFilter, LogFilterTaskRunId
from prefect.client.schemas.objects import FlowRun, TaskRun
from prefect.client.schemas.sorting import FlowRunSort, LogSort, TaskRunSort
from prefect.states import Cancelled

from flows import kinds
from flows.command import main
from flows.graph import read_graph
from flows.kinds import Kind
from flows.pipeline import PipelineFailed, pipeline
from tests.flows.conftest import dvc

PROJECT = Path(__file__).parents[2]
Repository = Callable[..., Path]

SLOW = "stages: {slow: {cmd: 'echo $$ > pid; exec sleep 300', outs: [slow]}}"


def outcomes(root: Path, *targets: str, **options: object) -> dict[str, str]:
    """Run the flow in this process and return how each stage ended."""
    return {name: report.outcome for name, report in pipeline(root, targets, **options).items()}


def last_flow_run(client: SyncPrefectClient) -> FlowRun:
    """The flow run that was started last."""
    return client.read_flow_runs(sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=1)[0]


def recorded_tasks(names: set[str]) -> dict[str, TaskRun]:
    """The last flow run's tasks, once Prefect's server, which records in batches, knows the ends of all of them."""
    with get_client(sync_client=True) as client:
        last = last_flow_run(client)
        for _ in range(100):
            of_flow = FlowRunFilter(id=FlowRunFilterId(any_=[last.id]))
            runs = client.read_task_runs(flow_run_filter=of_flow, sort=TaskRunSort.END_TIME_DESC, limit=200)
            tasks = {run.name: run for run in runs}
            if names <= set(tasks) and all(run.state_name not in ("Pending", "Running") for run in tasks.values()):
                break
            time.sleep(0.2)
        return tasks


@contextmanager
def command(root: Path, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """The command as a user starts it, in a process group of its own like a terminal's job."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.pipeline", "--root", str(root), *arguments],
        cwd=PROJECT,
        env={**os.environ, "PREFECT_HOME": str(root.parent.parent / "prefect"), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(120)


def wait_for(path: Path, process: subprocess.Popen[str]) -> str:
    """The text of a file that a stage of the running command is to write."""
    for _ in range(600):
        if path.is_file() and (text := path.read_text().strip()):
            return text
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    raise AssertionError(f"{path} was not written")


def is_gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_graph_is_the_one_that_dvc_draws(repository: Repository):
    root = repository(a="1", b="2")
    drawn = set(re.findall(r'"(.+?)" -> "(.+?)"', dvc(root, "dag", "--dot")))
    stages = read_graph(root)
    assert {(other, stage.name) for stage in stages for other in stage.upstream} == drawn
    assert {stage.name: stage.kind for stage in stages} == {
        "fetch_base": "fetch",
        "fetch@a": "fetch",
        "fetch@b": "fetch",
        "merge@a": "merge",
        "merge@b": "merge",
        "record": "record",
    }


@pytest.mark.usefixtures("server")
def test_a_run_leaves_what_dvc_repro_leaves(repository: Repository):
    by_flow, by_dvc = repository(a="1", b="2"), repository(name="other", a="1", b="2")
    first = outcomes(by_flow, workers=3)
    assert set(first.values()) == {"ran"}
    dvc(by_dvc, "repro")
    assert yaml.safe_load((by_flow / "dvc.lock").read_text()) == yaml.safe_load((by_dvc / "dvc.lock").read_text())
    assert "Running stage" not in dvc(by_flow, "repro")

    assert outcomes(by_flow) == dict.fromkeys(first, "unchanged")
    tasks = recorded_tasks(set(first))
    assert {run.state_name for run in tasks.values()} == {"Unchanged"}

    (by_flow / "toy.yaml").write_text("experts: {a: '1', c: '3'}\n")
    assert outcomes(by_flow) == {
        "fetch@a": "unchanged",
        "fetch@c": "ran",
        "fetch_base": "unchanged",
        "merge@a": "unchanged",
        "merge@c": "ran",
        "record": "ran",
    }


@pytest.mark.usefixtures("server")
def test_lines_of_a_stage_are_in_its_tasks_log(repository: Repository):
    root = repository(a="1")
    assert outcomes(root, "fetch@a") == {"fetch@a": "ran"}
    (root / "models" / "a").unlink()
    (root / "dvc.lock").unlink()
    assert outcomes(root, "fetch@a") == {"fetch@a": "restored"}
    assert outcomes(root, "fetch@a", force=True) == {"fetch@a": "ran"}
    task = recorded_tasks({"fetch@a"})["fetch@a"]
    assert task.state_name == "Ran"
    with get_client(sync_client=True) as client:
        for _ in range(100):
            of_task = LogFilter(task_run_id=LogFilterTaskRunId(any_=[task.id]))
            lines = [log.message for log in client.read_logs(of_task, sort=LogSort.TIMESTAMP_ASC, limit=200, offset=0)]
            if "fetching a" in lines:
                return
            time.sleep(0.1)
    raise AssertionError(lines)


@pytest.mark.usefixtures("server")
def test_stages_on_gpus_run_side_by_side_each_on_its_own(repository: Repository, monkeypatch: pytest.MonkeyPatch):
    stage = "{{cmd: 'touch {0}.on; for i in `seq 300`; do test -e {1}.on && break; sleep 0.1; done; test -e {1}.on && "
    stage += "echo $CUDA_VISIBLE_DEVICES > {0}', outs: [{0}], meta: {{gpu: 1}}}}"
    root = repository(f"stages:\n  x: {stage.format('x', 'y')}\n  y: {stage.format('y', 'x')}\n")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    assert outcomes(root, workers=1) == {"x": "ran", "y": "ran"}
    assert {(root / name).read_text().strip() for name in "xy"} == {"4", "7"}


@pytest.mark.usefixtures("server")
def test_a_failed_stage_fails_the_flow_by_name(repository: Repository, capsys: pytest.CaptureFixture[str]):
    root = repository(b="bad", c="3")
    with pytest.raises(PipelineFailed, match=r"(?s)merge@b failed:\n.*exited with 1") as failure:
        outcomes(root, workers=1)
    assert "Not run, because it depends on that: record." in str(failure.value)
    assert "`dvc repro merge@b`" in str(failure.value)
    assert (root / "merged" / "c").exists()
    said = capsys.readouterr().out
    assert re.search(r"^failed +merge@b", said, re.MULTILINE)
    assert re.search(r"^not run +record +needs merge@b$", said, re.MULTILINE)
    assert re.search(r"^4 ran, 1 failed, 1 not run, in \d+ s$", said, re.MULTILINE)
    assert recorded_tasks({"record"})["record"].state_name == "NotReady"


@pytest.mark.usefixtures("server")
def test_a_fetch_is_tried_again(repository: Repository, monkeypatch: pytest.MonkeyPatch):
    root = repository(
        "stages: {fetch: {cmd: 'echo try >> tries; test `wc -l < tries` = 3 && cp tries got', outs: [got]}}"
    )
    monkeypatch.setattr(kinds, "KINDS", {"fetch": Kind(limit=40, retries=1, backoff=0.1)})
    with pytest.raises(PipelineFailed, match="fetch failed"):
        outcomes(root)
    assert outcomes(root) == {"fetch": "ran"}
    assert (root / "got").read_text() == "try\n" * 3


@pytest.mark.usefixtures("server")
def test_a_stage_over_its_limit_is_ended(repository: Repository, monkeypatch: pytest.MonkeyPatch):
    root = repository(SLOW)
    monkeypatch.setattr(kinds, "OTHER", Kind(limit=4))
    with pytest.raises(PipelineFailed, match="took longer than 4 s"):
        outcomes(root)
    assert is_gone(int((root / "pid").read_text()))


def test_command_is_calm_and_names_the_failure(repository: Repository):
    root = repository(a="1", b="bad")
    with command(root) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    lines = [re.sub(r" +[\d.]+ s$", "", line) for line in out.splitlines()]
    assert sorted(lines[:-1]) == [
        "failed     merge@b",
        "not run    record      needs merge@b",
        "ran        fetch@a",
        "ran        fetch@b",
        "ran        fetch_base",
        "ran        merge@a",
    ]
    assert lines[-1].startswith("4 ran, 1 failed, 1 not run, in")
    assert err.startswith("error: merge@b failed:\n")
    assert err.rstrip().endswith("what is done is kept.")
    assert "Traceback" not in err
    assert "server" not in err


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


@pytest.mark.parametrize(
    ("graph", "arguments", "message"),
    [
        (None, [], "dvc.yaml: not found"),
        ("stages: {a: {cmd: 'echo ${nothing}'}}", [], "Could not find 'nothing'; there is no "),
        ("stages: {a: {cmd: echo, outz: [x]}}", [], "outz"),
        ("stages: {a: {cmd: [", [], "dvc.yaml"),
        ("stages: {merge: {cmd: echo}}", ["merg"], "merg: no such stage; did you mean merge?"),
    ],
)
def test_mistakes_are_told_before_prefect_starts(
    graph: str | None,
    arguments: list[str],
    message: str,
    repository: Repository,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    root = repository(graph or "")
    if graph is None:
        (root / "dvc.yaml").unlink()
    monkeypatch.setattr(sys, "argv", ["flows.pipeline", "--root", str(root), *arguments])
    monkeypatch.setattr("flows.command.run_flow", lambda _: pytest.fail("started"))
    with pytest.raises(SystemExit, match="1"):
        main()
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""


def test_dry_lists_the_stages_that_a_target_needs(
    repository: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    root = repository(a="1", b="2")
    monkeypatch.setattr(sys, "argv", ["flows.pipeline", "--root", str(root), "--dry", "merge@b"])
    main()
    assert capsys.readouterr().out.split("\n") == [
        "fetch@b",
        "fetch_base",
        "merge@b     after fetch@b, fetch_base",
        "",
    ]
    assert not (root / "dvc.lock").exists()
