"""Pinning: what the Hub's branches and tags name now, what it refuses, and what the command says and writes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.tasks.hub_server import Fault, HubServer, Repository
from tests.tasks.pin_project import pin, project, revisions

BASE, MATH, CODE = "someone/base", "someone/math", "other/code"


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """Three repositories, one of them an adapter."""
    with HubServer() as server:
        for name in (BASE, MATH, CODE):
            server.repositories[name] = Repository()
            release(server, name, 1)
        yield server


def release(hub: HubServer, name: str, version: int, branch: str = "main") -> str:
    """Move a branch."""
    weights = "adapter_model.safetensors" if name == CODE else "model.safetensors"
    return hub.repositories[name].commit(branch, {weights: f"{name} {version}".encode(), "config.json": b"{}"})


def now(hub: HubServer, name: str, branch: str = "main") -> str:
    return hub.repositories[name].names[branch]


def test_branches_and_tags_become_their_commits_and_move_no_more(hub: HubServer, tmp_path: Path) -> None:
    release(hub, MATH, 2, "dev")
    tagged = release(hub, CODE, 2, "v1.0")
    file = project(tmp_path, BASE, math=(MATH, "dev"), code=(CODE, "v1.0"))
    before = file.read_text()
    status, out, errors = pin(tmp_path, hub)
    commits = [now(hub, BASE), now(hub, MATH, "dev"), tagged]
    assert (status, errors) == (0, "")
    assert out.splitlines() == [
        f"base          someone/base  main -> {commits[0]}",
        f"experts.math  someone/math  dev -> {commits[1]}",
        f"experts.code  other/code    v1.0 -> {commits[2]}",
        "params.yaml: 3 of 3 models of the Hub pinned",
    ]
    assert revisions(file) == {"base": commits[0], "zoo": None, "math": commits[1], "code": commits[2]}
    for old, commit in zip(("null} # the base", "'dev'", "'v1.0'"), commits, strict=True):
        before = before.replace(old, old.replace("null", commit).replace("dev", commit).replace("v1.0", commit), 1)
    assert file.read_text() == before
    release(hub, BASE, 3)
    asked = len(hub.requests)
    status, out, errors = pin(tmp_path, hub, HF_HUB_OFFLINE="1")
    assert (status, errors, len(hub.requests)) == (0, "", asked)
    assert out.splitlines()[-1] == "all 3 models of the Hub are pinned already"
    assert file.read_text() == before


def test_a_wish_follows_its_branch(hub: HubServer, tmp_path: Path) -> None:
    file = project(tmp_path, BASE)
    wishes = file.read_text()
    for version in (1, 2):
        release(hub, BASE, version)
        file.write_text(wishes)
        assert pin(tmp_path, hub)[0] == 0
        assert revisions(file)["base"] == now(hub, BASE)


def test_check_tells_and_writes_nothing(hub: HubServer, tmp_path: Path) -> None:
    file = project(tmp_path, BASE, math=(MATH, now(hub, MATH)))
    before = file.read_text()
    status, out, errors = pin(tmp_path, hub, "--check")
    assert status == 1
    assert out.splitlines() == [
        f"base          someone/base  main -> {now(hub, BASE)}",
        f"experts.math  someone/math  {now(hub, MATH)}",
    ]
    assert errors == (
        "error: params.yaml: 1 of 2 models of the Hub is not pinned; `python -m tasks.pin` writes the commits above\n"
    )
    assert file.read_text() == before
    assert pin(tmp_path, hub)[0] == 0
    assert pin(tmp_path, hub, "--check")[0] == 0


def test_what_the_hub_refuses_is_told_of_each_model_at_once(hub: HubServer, tmp_path: Path) -> None:
    hub.repositories[BASE].token = "secret"
    file = project(tmp_path, BASE, math=(MATH, "v9"), code=("other/nothing", None), sound=(CODE, None))
    before = file.read_text()
    status, out, errors = pin(tmp_path, hub)
    assert (status, out) == (1, "")
    lines = errors.splitlines()
    assert len(lines) == 3
    assert "params.yaml: base: someone/base: not found on the Hub" in lines[0] and "HF_TOKEN" in lines[0]
    assert lines[1] == ("params.yaml: experts.math: someone/math: has no revision 'v9'; name a branch, tag or commit")
    assert lines[2].startswith("params.yaml: experts.code: other/nothing: not found on the Hub; check `source`")
    assert file.read_text() == before
    project(tmp_path, BASE)
    status, _, errors = pin(tmp_path, hub, HF_TOKEN="secret")
    assert (status, errors) == (0, "")
    assert revisions(file)["base"] == now(hub, BASE)


def test_of_a_gated_model_the_commit_is_known_before_its_terms_are_accepted(hub: HubServer, tmp_path: Path) -> None:
    hub.repositories[BASE].terms = "secret"
    file = project(tmp_path, BASE)
    assert pin(tmp_path, hub)[0] == 0
    assert revisions(file)["base"] == now(hub, BASE)


def test_a_hub_that_is_down_for_a_while(hub: HubServer, tmp_path: Path) -> None:
    hub.faults = [Fault(f"GET .*{BASE}", times=2, status=503), Fault(f"GET .*{MATH}", times=1, status=429)]
    file = project(tmp_path, BASE, math=(MATH, None))
    status, _, errors = pin(tmp_path, hub)
    assert (status, errors) == (0, "")
    assert revisions(file) == {"base": now(hub, BASE), "zoo": None, "math": now(hub, MATH)}
    assert [fault.times for fault in hub.faults] == [0, 0]


def test_a_hub_that_stays_down(hub: HubServer, tmp_path: Path) -> None:
    hub.faults = [Fault(f"GET .*{MATH}", status=503)]
    file = project(tmp_path, BASE, math=(MATH, None))
    before = file.read_text()
    status, out, errors = pin(tmp_path, hub)
    assert (status, out) == (1, "")
    assert errors.startswith("error: params.yaml: experts.math: someone/math: did not answer (")
    assert "after 5 attempts" in errors
    assert len(errors.splitlines()) == 1
    assert file.read_text() == before


def test_a_project_without_models_of_the_hub(hub: HubServer, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_bytes((ROOT / "params.yaml").read_bytes())
    for arguments in ((), ("--check",)):
        assert pin(tmp_path, hub, *arguments) == (0, "params.yaml names no model of the Hub: nothing to pin\n", "")
    assert file.read_bytes() == (ROOT / "params.yaml").read_bytes()
    assert not hub.requests


def test_a_mistake_in_the_file(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("base: {")
    status, out, errors = pin(tmp_path, hub)
    assert (status, out) == (1, "")
    assert errors.startswith("error: params.yaml: not valid YAML")
