import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from prefect import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.sorting import ArtifactSort

from tests.flows.nightly.checkouts import git_in
from tests.flows.nightly.receiver import Receiver
from tests.flows.nightly.toy_project import ToyProject, clone_of, dvc, night, started, tags
from tests.tasks.hub_server import HubServer


def shown(toy: ToyProject, tag: str, path: str) -> str:
    """A file of a night."""
    return git_in(toy.root)("show", f"{tag}:{path}")


def test_nights_pin_what_moved_and_run_what_that_touches(toy: ToyProject, hub: HubServer):
    assert sorted(started(toy)) == sorted(
        ["fetch base", "fetch gsm", "fetch maths", "merge average", "merge wudi", "evaluate", "record"]
    )
    pinned = hub.repositories["team/gsm"].names["main"]
    text = shown(toy, "night/2026-11-01", "params.yaml")
    assert f"revision: {pinned}" in text
    assert "source: team/gsm   # moves often" in text
    assert "# The team's wishes" in text

    assert night(toy, 2).name == "Unchanged"
    assert started(toy) == []
    assert git_in(toy.root)("rev-parse", "night/2026-11-02^{commit}") == git_in(toy.root)("rev-parse", "nightly")

    moved = toy.publish("gsm", 0.9, 0.2)
    third = night(toy, 3)
    assert third.name == "Completed", third.message
    assert sorted(started(toy)) == ["evaluate", "fetch gsm", "merge average", "merge wudi", "record"]
    assert f"revision: {moved}" in shown(toy, "night/2026-11-03", "params.yaml")
    assert f"gsm {pinned[:7]} -> {moved[:7]}" in git_in(toy.root)("log", "-1", "nightly")

    toy.edit("scale: 0.5", "scale: 0.75")
    assert night(toy, 4).name == "Completed"
    assert sorted(started(toy)) == ["evaluate", "merge wudi", "record"]
    assert tags(toy) == [f"night/2026-11-0{day}" for day in (1, 2, 3, 4)]
    assert json.loads(shown(toy, "night/2026-11-04", "results/metrics.json"))["first"]["recipe"] == "wudi"
    assert "revision: null" in (toy.root / "params.yaml").read_text()

    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(
                key=ArtifactFilterKey(any_=["project-nightly-leaderboard", "project-nightly-differences"])
            ),
            sort=ArtifactSort.CREATED_DESC,
        )
    latest = {artifact.key: artifact for artifact in reversed(found)}
    rows = json.loads(str(latest["project-nightly-leaderboard"].data))
    assert {row["model"] for row in rows} == {"base", "gsm", "maths", "average", "wudi"}
    assert "night/2026-11-04" in str(latest["project-nightly-differences"].data)
    assert "recipe wudi scale 0.5" in str(latest["project-nightly-differences"].data)


@pytest.mark.long
def test_alerts_on_failure_on_a_fall_and_on_a_new_best(toy: ToyProject, monkeypatch: pytest.MonkeyPatch):
    with Receiver() as receiver:
        monkeypatch.setenv("TEAM", receiver.url)
        toy.edit("zoo: {", "nightly: {alerts: [{webhook: 'env:TEAM'}]}\nzoo: {")
        toy.publish("maths", 0.2, 0.4)
        night(toy, 2)
        assert [message["events"] for message in receiver.messages()] == [["fall"]]
        assert "wudi" in receiver.messages()[0]["text"]
        toy.publish("maths", 0.3, 1.0)
        night(toy, 3)
        assert [message["events"] for message in receiver.messages()[1:]] == [["best"]]
        toy.edit("scale: 0.5", "scale: 0.4")
        with monkeypatch.context() as patch:
            patch.setenv("TOY_FAIL", "evaluate")
            assert night(toy, 4).is_failed()
        assert [message["events"] for message in receiver.messages()[2:]] == [["failure"]]
        assert "evaluate cannot be done" in receiver.messages()[2]["text"]
        assert tags(toy) == [f"night/2026-11-0{day}" for day in (1, 2, 3)]
        started(toy)
        assert night(toy, 5).is_completed()
        assert started(toy) == ["evaluate", "record"]


def test_a_mistake_in_params_is_told_before_anything_runs(toy: ToyProject, monkeypatch: pytest.MonkeyPatch):
    started(toy)
    with Receiver() as receiver:
        monkeypatch.setenv("TEAM", receiver.url)
        toy.edit("zoo: {", "nightly: {alerts: [{webhook: 'env:TEAM'}]}\nzoo: {")
        toy.edit("method: average", "method: avarage")
        failed = night(toy, 2)
    assert failed.is_failed()
    assert "did you mean average" in str(failed.message)
    assert receiver.messages()[0]["events"] == ["failure"]
    assert started(toy) == []


@pytest.mark.long
def test_a_remote_that_is_down_gets_its_nights_later(toy: ToyProject):
    toy.publish("gsm", 0.9, 0.2)
    away = toy.store.rename(toy.store.with_name("away"))
    toy.store.write_text("no folder")
    second = night(toy, 2)
    assert second.is_completed()
    assert "dvc push failed, and is tried again with the next night" in str(second.message)
    assert "night/2026-11-02" in tags(toy)
    toy.store.unlink()
    away.rename(toy.store)
    assert night(toy, 3).name == "Unchanged"
    clone = clone_of(toy, toy.root.with_name("clone"), "night/2026-11-02")
    dvc(clone, "pull")
    assert "Running stage" not in dvc(clone, "repro")
    assert git_in(clone)("status", "--porcelain") == ""


def test_a_second_night_of_a_date_needs_something_new(toy: ToyProject):
    again = night(toy, 1)
    assert again.name == "Skipped"
    assert "night/2026-11-01 is there already" in str(again.message)
    toy.edit("scale: 0.5", "scale: 0.75")
    assert night(toy, 1).name == "Completed"
    assert tags(toy) == ["night/2026-11-01", "night/2026-11-01.2"]


@pytest.mark.long
def test_a_folder_with_other_files_is_fetched_again(toy: ToyProject, tmp_path: Path):
    folder = tmp_path / "finetuned"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_text(json.dumps({"gsm8k": 0.8, "math": 0.2}))
    toy.edit("source: team/gsm   # moves often", f"source: {folder}")
    assert night(toy, 2).name == "Completed"
    started(toy)
    assert night(toy, 3).name == "Unchanged"
    (folder / "model.safetensors").write_text(json.dumps({"gsm8k": 0.95, "math": 0.2}))
    assert night(toy, 4).name == "Completed"
    assert sorted(started(toy)) == ["evaluate", "fetch gsm", "merge average", "merge wudi", "record"]


@pytest.mark.long
def test_what_a_failed_night_found_in_a_folder_is_not_believed_later(
    toy: ToyProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "finetuned"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_text(json.dumps({"gsm8k": 0.1, "math": 0.1}))
    toy.edit("source: team/gsm   # moves often", f"source: {folder}")
    with monkeypatch.context() as patch:
        patch.setenv("TOY_FAIL", "evaluate")
        assert night(toy, 2).is_failed()
    (folder / "model.safetensors").write_text(json.dumps({"gsm8k": 0.95, "math": 0.2}))
    assert night(toy, 2).is_completed()
    assert json.loads((toy.workspace / "models" / "experts" / "gsm" / "skills.json").read_text())["gsm8k"] == 0.95


@pytest.mark.long
def test_a_night_that_ends_before_it_is_told_is_told_by_the_next(toy: ToyProject, monkeypatch: pytest.MonkeyPatch):
    with Receiver() as receiver:
        monkeypatch.setenv("TEAM", receiver.url)
        toy.edit("zoo: {", "nightly: {alerts: [{webhook: 'env:TEAM'}]}\nzoo: {")
        toy.publish("maths", 0.2, 0.4)
        with monkeypatch.context() as patch:
            patch.setattr("flows.nightly.flow.delivered", None)
            patch.setattr("flows.nightly.flow.tell", lambda *_: None)
            assert night(toy, 2).is_failed()
        assert night(toy, 2).name == "Skipped"
        assert [message["events"] for message in receiver.messages()] == [["fall"]]
        assert night(toy, 3).name == "Unchanged"
        assert len(receiver.messages()) == 1


@pytest.mark.long
def test_a_night_that_could_not_be_pushed_is_not_freed(toy: ToyProject):
    away = toy.store.rename(toy.store.with_name("away"))
    toy.store.write_text("no folder")
    toy.edit("scale: 0.5", "scale: 0.75")
    night(toy, 2)
    files = files_of(toy, "merged/wudi")
    toy.edit("scale: 0.75", "scale: 0.25")
    night(toy, 3)
    subprocess.run([sys.executable, "-m", "tasks.gc"], cwd=toy.workspace, check=True, env=toy.environment())
    assert all(file.exists() for file in files)
    toy.store.unlink()
    away.rename(toy.store)
    files[1].unlink()
    problem = str(night(toy, 4).message)
    assert "dvc push has not brought everything" in problem
    assert "merged/wudi at night/2026-11-02" in problem


def test_everything_that_fails_is_told_to_somebody(toy: ToyProject, monkeypatch: pytest.MonkeyPatch):
    with Receiver() as receiver:
        monkeypatch.setenv("TEAM", receiver.url)
        toy.edit("zoo: {", "nightly: {alerts: [{webhook: 'env:TEAM'}]}\nzoo: {")
        assert night(toy, 2).is_completed()
        assert receiver.messages() == []
        toy.edit("wudi: {method", "wudi: {{{method")
        assert night(toy, 3).is_failed()
        assert len(receiver.messages()) == 1
        toy.edit("wudi: {{{method", "wudi: {method")
        git_in(toy.workspace)("config", "nightly.repository", "https://bot:SECRET@example.org/other.git")
        failed = night(toy, 4)
        assert failed.is_failed()
    assert [message["events"] for message in receiver.messages()] == [["failure"], ["failure"]]
    assert "SECRET" not in json.dumps(receiver.messages())
    assert "SECRET" not in str(failed.message)


@pytest.mark.long
def test_another_machine_takes_over_without_computing_anew(toy: ToyProject):
    shutil.rmtree(toy.workspace)
    toy.edit("scale: 0.5", "scale: 0.75")
    assert night(toy, 2).is_completed()
    assert started(toy) == ["merge wudi", "evaluate", "record"]
    assert tags(toy) == ["night/2026-11-01", "night/2026-11-02"]


def test_a_persons_work_is_not_touched(toy: ToyProject):
    (toy.root / "params.yaml").write_text("half an edit")
    (toy.root / "notes.txt").write_text("not added")
    before = git_in(toy.root)("status", "--porcelain")
    toy.publish("base", 0.2, 0.2)
    assert night(toy, 2).is_completed()
    assert git_in(toy.root)("status", "--porcelain") == before
    assert (toy.root / "params.yaml").read_text() == "half an edit"
    assert not (toy.root / "dvc.lock").exists()
    assert not (toy.root / "models").exists()


@pytest.mark.long
def test_a_night_that_ends_after_its_stages_is_whole_the_next_time(toy: ToyProject, monkeypatch: pytest.MonkeyPatch):
    before = shown(toy, "night/2026-11-01", "results/leaderboard.csv")
    toy.publish("gsm", 0.9, 0.2)
    with monkeypatch.context() as patch:
        patch.setattr("flows.nightly.steps.commit_night", None)
        assert night(toy, 2).is_failed()
    started(toy)
    assert night(toy, 2).is_completed()
    # leaderboard.csv has seconds in it, so DVC cannot have brought it back.
    assert started(toy) == ["record"]
    leaderboard = shown(toy, "night/2026-11-02", "results/leaderboard.csv")
    assert leaderboard != before
    assert "0.9" in leaderboard


@pytest.mark.long
def test_a_night_that_cannot_be_compared_is_kept(toy: ToyProject, monkeypatch: pytest.MonkeyPatch):
    toy.publish("gsm", 0.9, 0.2)
    git = git_in(toy.workspace)
    git("tag", "night/2026-10-31", git("commit-tree", "-m", "not to be read", "origin/main^{tree}"))
    assert "night/2026-11-02: wudi ahead" in str(night(toy, 2).message)
    toy.publish("gsm", 0.8, 0.3)
    with monkeypatch.context() as patch:
        patch.setattr("flows.nightly.steps.compare", None)
        third = night(toy, 3)
    assert third.is_completed()
    assert "night/2026-11-03: not compared" in str(third.message)
    assert "night/2026-11-03" in tags(toy)


@pytest.mark.long
def test_old_merged_models_are_freed_where_asked_for(toy: ToyProject):
    toy.edit("zoo: {", "nightly: {gc: true}\nzoo: {")
    old = files_of(toy, "merged/wudi")
    toy.edit("scale: 0.5", "scale: 0.75")
    second = night(toy, 2)
    assert second.message is not None
    assert "No space" not in second.message
    assert old
    assert not any(file.exists() for file in old)
    assert all(file.exists() for file in files_of(toy, "merged/wudi"))
    assert all(file.exists() for file in files_of(toy, "samples/wudi"))


def files_of(toy: ToyProject, output: str) -> list[Path]:
    """The files in the cache that the last night's dvc.lock names of an output: its list, and what is in it."""
    lock = yaml.safe_load((toy.workspace / "dvc.lock").read_text())
    hashes = [out["md5"] for stage in lock["stages"].values() for out in stage["outs"] if out["path"] == output]
    cache = toy.workspace / ".dvc" / "cache" / "files" / "md5"
    lists = [cache / found[:2] / found[2:] for found in hashes]
    entries = [entry["md5"] for file in lists for entry in json.loads(file.read_text())]
    return [*lists, *(cache / found[:2] / found[2:] for found in entries)]
