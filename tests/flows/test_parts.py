import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event

import psutil
import pytest
import yaml

from flows.graph import GraphError, Stage, read_graph, select
from flows.kinds import HOUR, KINDS, OTHER, Kind, gpus_of, kind_of, kind_settings
from flows.output import BAR_SECONDS, Lines, read_lines
from flows.report import repro_command
from flows.stage import Order, StageFailed, run_stage
from flows.workspace import exclusive
from tasks.processes import end_family
from tests.conftest import ROOT


def lines_of(*chunks: bytes, clock: Callable[[], float] = lambda: 0.0) -> list[str]:
    lines = Lines(clock)
    return [line for chunk in chunks for line in lines.feed(chunk)] + list(lines.rest())


def test_lines_are_whole_and_without_colours():
    euro = "\u20ac".encode()
    assert lines_of(b"one\ntw", b"o\r\n\x1b[31mred\x1b[0m\n" + euro[:1], euro[1:] + b"\nend") == [
        "one",
        "two",
        "red",
        "\u20ac",
        "end",
    ]
    assert lines_of(b"split at the pair\r", b"\nnext\n") == ["split at the pair", "next"]


def test_a_bar_is_shown_now_and_then_and_at_its_end():
    now = [0.0]
    lines = Lines(lambda: now[0])
    seen = []
    for percent in range(101):
        seen += lines.feed(f"\r{percent}%".encode())
        now[0] += BAR_SECONDS / 20
    seen += lines.feed(b"\ndone\n")
    assert seen[-2:] == ["100%", "done"]
    assert 5 <= len(seen) <= 8


def test_a_process_left_behind_does_not_hold_the_reader():
    with subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo said"], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        lines = [line for line in read_lines(process.stdout, until=lambda: process.poll() is not None) if line]
        end_family(process)
    assert lines == ["said"]


def test_what_ignores_signals_is_ended_in_other_sessions_too(monkeypatch: pytest.MonkeyPatch):
    steps = ((signal.SIGINT, 0.3), (signal.SIGTERM, 0.3), (signal.SIGKILL, 2.0))
    monkeypatch.setattr("tasks.processes.STEPS", steps)
    script = "trap '' INT TERM; setsid sleep 60 & echo $!; while :; do sleep 0.1; done"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline()))
        end_family(process)
    assert process.returncode == -signal.SIGKILL
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_kinds_are_known_by_the_stages_names():
    names = ["fetch_base", "fetch@x", "evaluate_recipe@wudi", "task_vectors@y", "sub/dvc.yaml:merge@z", "other@w"]
    assert [kind_of(name) for name in names] == ["fetch", "fetch", "evaluate", "task_vectors", "merge", "other"]
    assert [Kind(limit=1, backoff=10).delay(attempt) for attempt in (1, 2, 3, 4)] == [0, 10, 20, 40]


def test_meta_of_a_stage_goes_before_its_kind():
    assert kind_settings("merge", {}) == KINDS["merge"]
    assert kind_settings("x", {"hours": 0.5, "retries": 5}) == replace(OTHER, limit=HOUR / 2, retries=5)
    assert [gpus_of(meta) for meta in ({}, {"gpu": True}, {"gpu": False}, {"gpu": 4})] == [0, 1, 0, 4]


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ("gpu: -1", "stage a: meta.gpu is -1; takes a whole number from 0 up"),
        ("gpu: two", "stage a: meta.gpu is 'two'; takes a whole number from 0 up"),
        ("hours: 0", "stage a: meta.hours is 0; takes a number above 0"),
        ("hours: .inf", "stage a: meta.hours is inf; takes a number above 0"),
        ("retries: 1.5", "stage a: meta.retries is 1.5; takes a whole number from 0 up"),
        ("retries: true", "stage a: meta.retries is True; takes a whole number from 0 up"),
    ],
)
def test_a_wrong_value_in_meta_is_told(meta: str, message: str, repository: Callable[..., Path]):
    with pytest.raises(GraphError) as mistake:
        read_graph(repository(f"stages: {{a: {{cmd: echo, meta: {{{meta}}}}}}}"))
    assert str(mistake.value) == message


def test_a_remedy_is_a_command_that_works_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert repro_command(["a"], tmp_path) == "dvc repro a"
    assert repro_command(["a@b", "c d"], Path("sub dir")) == "dvc --cd 'sub dir' repro a@b 'c d'"


def test_every_stage_of_the_project_is_of_a_known_kind():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert {kind_of(stage) for stage in stages} == set(KINDS)


def test_targets_bring_what_they_need():
    def stage(name: str, *upstream: str) -> Stage:
        return Stage(name=name, file=name.rpartition(":")[0] or "dvc.yaml", kind="", upstream=upstream, settings=OTHER)

    stages = [stage("a@1"), stage("a@2"), stage("b", "a@1"), stage("sub/dvc.yaml:c", "b")]
    assert [found.name for found in select(stages, [])] == ["a@1", "a@2", "b"]
    assert [found.name for found in select(stages, ["b"])] == ["a@1", "b"]
    assert [found.name for found in select(stages, ["a"])] == ["a@1", "a@2"]


def test_a_stage_waits_for_a_path_in_use_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A stand-in for DVC says what DVC says when a stage that outlived a killed run holds the path."""
    busy = "ERROR: '/x/models' is busy, it is being blocked by:"
    script = f"""test -e seen && echo "Stage 'x' didn't change, skipping" && exit; touch seen; echo "{busy}"; exit 1"""
    said: list[str] = []

    def start(order: Order) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sh", "-c", script], cwd=order.root, stdout=subprocess.PIPE, start_new_session=True)

    monkeypatch.setattr("flows.stage.start", start)
    order = Order(stage="x", root=tmp_path, limit=60, variables={})
    assert run_stage(order, on_line=said.append, stopping=Event()) == "unchanged"
    assert said.count("waiting for another DVC process that works on the same paths") == 1


def test_a_failure_keeps_what_the_command_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    lines = [
        "Running stage 'x':",
        "> python x.py",
        "ValueError: no",
        "ERROR: failed to reproduce 'x': failed to run: y",
    ]
    program = f"print({chr(10).join(lines)!r}); raise SystemExit(255)"

    def start(_: Order) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)

    monkeypatch.setattr("flows.stage.start", start)
    with pytest.raises(StageFailed) as failure:
        run_stage(Order(stage="x", root=tmp_path, limit=60, variables={}), on_line=lambda _: None, stopping=Event())
    assert str(failure.value) == "ValueError: no\nfailed to run: y"


def test_a_folder_that_is_no_repository_is_told_and_left_as_it_is(tmp_path: Path):
    (tmp_path / "dvc.yaml").touch()
    with pytest.raises(GraphError, match="make the folder a DVC repository with `dvc init`"), exclusive(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["dvc.yaml"]
