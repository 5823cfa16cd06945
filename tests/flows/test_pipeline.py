import re
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from prefect import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from flows import kinds
from flows.command import main
from flows.graph import read_graph
from flows.kinds import Kind
from flows.pipeline import PipelineFailed
from tests.flows.conftest import dvc
from tests.flows.running import Repository, command, is_gone, last_flow_run, logged_lines, outcomes, recorded_tasks


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
    assert {(run.state_name, run.state.message) for run in tasks.values()} == {("Cached", "nothing changed")}

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
    assert "fetching a" in logged_lines(task, "fetching a")


@pytest.mark.usefixtures("server")
def test_runs_and_outputs_are_found_in_prefect(repository: Repository, tmp_path: Path):
    make = "{cmd: mkdir 'two files' && echo 1 > 'two files/a' && echo > 'two files/b' && echo > plain, "
    make += "outs: [two files, plain: {cache: false}]}"
    root = repository(f"stages:\n  Make_All: {{foreach: [x], do: {make}}}\n  nothing: {{cmd: echo}}\n", name="board")
    config = f"[core]\n    remote = store\n['remote \"store\"']\n    url = {tmp_path}/store\n"
    (root / ".dvc" / "config").write_text(config)
    assert outcomes(root) == {"Make_All@x": "ran", "nothing": "ran"}
    dvc(root, "push", "-q")
    with get_client(sync_client=True) as client:
        run = last_flow_run(client)
        artifacts = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
        )
    assert re.fullmatch(r"pipeline board@\w+", run.name)
    assert {artifact.key: artifact.description for artifact in artifacts} == {
        "make-all-x": "What the stage Make_All@x wrote"
    }
    row, plain = sorted(str(artifacts[0].data).splitlines()[2:], key=len, reverse=True)
    link, size, files, digest, place = re.fullmatch(
        r"\| \[two files\]\(file://(.+)\) \| (.+) \| (.+) \| `(.+)` \| `(.+)` \|", row
    ).groups()
    assert (unquote(link), size, files) == (str(root / "two files"), "3 B", "2")
    assert digest.endswith(".dir") and digest in (root / "dvc.lock").read_text()
    assert Path(place).is_file()
    assert plain.endswith("not pushed |")


@pytest.mark.usefixtures("server")
def test_a_failed_stage_fails_the_flow_by_name(repository: Repository, capsys: pytest.CaptureFixture[str]):
    root = repository(b="bad", c="3")
    with pytest.raises(PipelineFailed, match=r"(?s)merge@b failed:\n.*exited with 1") as failure:
        outcomes(root, workers=1)
    assert "Not run, because it depends on that: record." in str(failure.value)
    assert "`python -m tasks.record --partial` shows what is there." in str(failure.value)
    hint = re.search(r"`dvc --cd (\S+) repro merge@b`", str(failure.value))
    assert hint is not None
    assert Path(hint[1]).resolve() == root.resolve()
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
    root = repository("stages: {slow: {cmd: 'echo $$ > pid; exec sleep 300', outs: [slow]}}")
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
