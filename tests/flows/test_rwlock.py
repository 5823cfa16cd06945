"""DVC's list of the paths in use, cut off by a kill: no run fails for it, and no person has to delete it."""

import json
from pathlib import Path
from threading import Event

import pytest
from dvc.lock import make_lock

from flows import rwlock
from flows.stage import Order, run_stage
from tests.flows.running import Repository, outcomes


@pytest.fixture
def root(repository: Repository) -> Path:
    made = repository("stages: {a: {cmd: echo a > a, outs: [a]}}")
    (made / ".dvc" / "tmp").mkdir(exist_ok=True)
    return made


@pytest.fixture
def listed(root: Path) -> Path:
    return root / ".dvc" / "tmp" / "rwlock"


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("left", ["", '{"write": {"/there'])
def test_a_list_that_is_cut_off_is_deleted_before_the_stages_run(root, listed, left):
    listed.write_text(left)
    assert outcomes(root) == {"a": "ran"}
    assert isinstance(json.loads(listed.read_text()), dict)


def test_a_list_that_is_cut_off_meanwhile_does_not_fail_the_stage(root, listed):
    listed.write_text("")
    lines: list[str] = []
    order = Order(stage="a", root=root, limit=60.0, variables={})
    assert run_stage(order, on_line=lines.append, stopping=Event()) == "ran"
    assert any(rwlock.UNREADABLE in line for line in lines)


def test_a_list_that_can_be_read_or_is_being_written_is_left_alone(root, listed):
    users = {"read": {}, "write": {"/a": {"pid": 1, "cmd": "repro"}}}
    listed.write_text(json.dumps(users))
    rwlock.mend(root)
    assert json.loads(listed.read_text()) == users
    listed.write_text("")
    with make_lock(str(listed.with_name("rwlock.lock")), tmp_dir=str(listed.parent)):
        rwlock.mend(root)
    assert listed.read_text() == ""
    rwlock.mend(root)
    assert not listed.exists()
