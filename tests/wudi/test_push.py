"""`wudi push`: what the real client sends to a Hub, and what a user is told when that goes wrong."""

import argparse
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard, constants, metadata_load
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results
from transformers import AutoConfig

from tests.conftest import ROOT, moved, random_tensors, write_model
from tests.wudi.merges import contents, run
from tests.wudi.upload_hub import TOKEN, Repository, UploadHub
from wudi.cli import main
from wudi.commands.arguments import Arguments
from wudi.commands.push import add
from wudi.scored_card import model_sha256
from wudi.verification import verify

REPOSITORY = "me/merged"


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("merge")
    base = random_tensors(0)
    experts = [write_model(folder / f"expert{seed}", moved(base, seed)) for seed in (1, 2)]
    return run(write_model(folder / "base", base, shards=2), experts, folder / "merged", {"method": "average"}).out


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[UploadHub]:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with UploadHub() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        yield server


def push(folder: Path, *flags: str, repository: str = REPOSITORY) -> None:
    main(["push", str(folder), repository, *flags])


def refused(folder: Path, *flags: str, repository: str = REPOSITORY) -> str:
    with pytest.raises(SystemExit) as stopped:
        push(folder, *flags, repository=repository)
    said = str(stopped.value)
    assert said.startswith("error: ") and "\n" not in said and TOKEN not in said
    return said


def scores(folder: Path, merged: Path, **entry: Any) -> Path:
    """A score file and a leaderboard as the pipeline writes them."""
    record = json.loads((merged / "merge.json").read_text())
    measured = {
        "benchmark": "gsm8k",
        "task": "gsm8k",
        "metric": "exact_match",
        "filter": "flexible-extract",
        "score": 0.4207,
        "stderr": 0.0136,
        "questions": 1319,
        "questions_available": 1319,
        "num_fewshot": 5,
        "limit": None,
        "model_sha256": model_sha256(record["outputs"]),
        "versions": {"lm_eval": "0.4.13"},
    }
    other = {"benchmark": "own", "task": "my_task", "metric": "acc", "filter": "none", "stderr": None, "limit": 20}
    file = folder / "scores" / "mine.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"gsm8k": 0.4207, "evaluations": [measured | entry, measured | other | entry]}))
    rows = "model,gsm8k_normalised,own_normalised,mean_normalised\nbase,20,,20\nmine,61.25,40,50.625\n"
    (folder / "leaderboard.csv").write_text(rows)
    return file


def test_all_files_come_in_one_commit_and_load(
    hub: UploadHub, merged: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    push(merged, "--private")
    repository = hub.repositories[REPOSITORY]
    files = repository.branches["main"]
    assert repository.private
    assert [commit["summary"] for commit in repository.commits] == ["Merge of expert1, expert2 by average"]
    assert {name: data for name, data in files.items() if name != ".gitattributes"} == contents(merged)
    assert capsys.readouterr().out == f"{hub.url}/{REPOSITORY} is at {repository.sha('main')}\n"
    config = AutoConfig.from_pretrained(REPOSITORY, cache_dir=tmp_path / "loaded")
    assert (config.model_type, config.hidden_size) == ("llama", 16)
    assert ModelCard.load(REPOSITORY).data.to_dict() == metadata_load(merged / "README.md")


def test_only_what_the_merge_wrote_is_sent(
    hub: UploadHub, merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(merged, tmp_path / "copy")
    (folder / ".secret").write_text("hidden")
    (folder / ".cache").mkdir()
    monkeypatch.chdir(folder)
    push(Path())
    assert set(hub.repositories[REPOSITORY].branches["main"]) == set(contents(merged)) | {".gitattributes"}


def test_pushed_again_nothing_is_uploaded_and_shards_of_another_merge_go(
    hub: UploadHub, merged: Path, tmp_path: Path
) -> None:
    push(merged)
    puts = sum(line.startswith("PUT") for line in hub.requests)
    push(merged)
    assert puts == 2 and sum(line.startswith("PUT") for line in hub.requests) == puts
    assert len(hub.repositories[REPOSITORY].commits) == 1
    hub.repositories[REPOSITORY].branches["main"]["figure.png"] = b"somebody's own"
    base = random_tensors(0)
    experts = [write_model(tmp_path / "other", moved(base, 5))]
    single = run(write_model(tmp_path / "base", base), experts, tmp_path / "single", {"method": "average"}).out
    push(single, "--message", "Another one")
    files = hub.repositories[REPOSITORY].branches["main"]
    assert set(files) == set(contents(single)) | {".gitattributes", "figure.png"}
    assert hub.repositories[REPOSITORY].commits[-1]["summary"] == "Another one"


def test_a_branch_is_made(hub: UploadHub, merged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    push(merged, "--revision", "v2", repository="lab/merged")
    branches = hub.repositories["lab/merged"].branches
    assert set(branches["main"]) == {".gitattributes"} and set(contents(merged)) < set(branches["v2"])
    assert capsys.readouterr().out.startswith(f"{hub.url}/lab/merged/tree/v2 is at ")


def test_a_branch_that_would_begin_with_something_else_is_not_made(hub: UploadHub, merged: Path) -> None:
    repository = hub.put(REPOSITORY, {"pytorch_model.bin": b"weights"})
    assert "holds something else than a merge (pytorch_model.bin)" in refused(merged, "--revision", "v2")
    assert set(repository.branches) == {"main"}
    repository.branches["empty"] = {".gitattributes": b""}
    push(merged, "--revision", "empty")
    assert set(contents(merged)) < set(repository.branches["empty"])


def test_scores_are_in_the_metadata_and_in_the_text_and_a_download_verifies(
    hub: UploadHub, merged: Path, tmp_path: Path
) -> None:
    file = scores(tmp_path, merged)
    push(merged, "--scores", str(file), "--results", str(tmp_path / "leaderboard.csv"))
    files = hub.repositories[REPOSITORY].branches["main"]
    download = tmp_path / "download"
    download.mkdir()
    for name, data in files.items():
        (download / name).write_bytes(data)
    assert not verify(download).differences
    card = ModelCard.load(download / "README.md")
    gsm8k, own = card.data.eval_results
    assert (gsm8k.dataset_type, gsm8k.dataset_config, gsm8k.metric_value) == ("openai/gsm8k", "main", 0.4207)
    assert (own.dataset_type, own.metric_type, own.dataset_args) == ("my_task", "acc", {"num_few_shot": 5, "limit": 20})
    index = eval_results_to_model_index("merged", card.data.eval_results)
    assert metadata_load(download / "README.md")["model-index"] == index
    assert model_index_to_eval_results(index) == ("merged", card.data.eval_results)
    assert "| gsm8k | `gsm8k` | 5 | exact_match (flexible-extract) | 0.4207 | 0.0136 | 1319 | 61.2 |" in card.text
    assert "Their mean is 50.6." in card.text
    untouched = {name for name in contents(merged) if name not in ("README.md", "merge.json")}
    assert {name: files[name] for name in untouched} == {name: contents(merged)[name] for name in untouched}


@pytest.mark.parametrize(("declared", "found"), [("mit", "mit"), ("llama2", None)])
def test_a_license_that_all_models_declare_on_the_hub_is_the_merge_s(
    hub: UploadHub, tmp_path: Path, declared: str, found: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    base = random_tensors(0)
    folders = [write_model(tmp_path / "base", base), write_model(tmp_path / "math", moved(base, 1))]
    for folder, own in zip(folders, ("mit", declared), strict=True):
        branches = {"c0ffee": {".gitattributes": b""}}
        hub.repositories[f"org/{folder.name}"] = Repository(branches=branches, card={"license": own})
        (folder / "source.json").write_text(json.dumps({"source": f"org/{folder.name}", "commit": "c0ffee"}))
    merged = run(folders[0], folders[1:], tmp_path / "merged", {"method": "average"}).out
    push(merged, "--dry")
    assert "The push asks the Hub for the models' licenses" in capsys.readouterr().out and not hub.requests
    push(merged)
    card = ModelCard(hub.repositories[REPOSITORY].branches["main"]["README.md"].decode())
    assert card.data.license == found
    told = "License: mit, which all of them declare." if found else "(base mit, math llama2): see the models' own."
    assert told in card.text


def test_dry_shows_everything_and_asks_nobody(
    hub: UploadHub, merged: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    push(merged, "--dry")
    out = capsys.readouterr().out
    assert out.startswith((merged / "README.md").read_text())
    assert f"would be pushed to {REPOSITORY}; nothing was" in out
    assert "asks the Hub" not in out
    sizes = {line.split()[0]: int(line.split()[-1].replace(",", "")) for line in out.splitlines() if ".json " in line}
    assert sizes["config.json"] == (merged / "config.json").stat().st_size
    assert not hub.requests


def test_what_passes_is_tried_again(hub: UploadHub, merged: Path) -> None:
    hub.statuses = {"preupload": [503]}
    hub.cuts = {"PUT /lfs/": 1}
    push(merged)
    assert contents(merged).items() <= hub.repositories[REPOSITORY].branches["main"].items()


def test_a_commit_that_breaks_off_is_no_half_model_and_the_next_push_sends_no_weight_again(
    hub: UploadHub, merged: Path
) -> None:
    hub.cuts = {"/commit/main": 1}
    assert "run the same command again: what was uploaded is not sent again" in refused(merged)
    assert set(hub.repositories[REPOSITORY].branches["main"]) == {".gitattributes"}
    hub.requests.clear()
    push(merged)
    assert not [line for line in hub.requests if line.startswith("PUT")]
    assert contents(merged).items() <= hub.repositories[REPOSITORY].branches["main"].items()


@pytest.mark.parametrize(
    ("request_line", "status", "says"),
    [
        ("whoami", 401, "the Hub does not accept the token"),
        ("repos/create", 403, "takes a token with write permission for that owner"),
        ("preupload", 403, "takes a token with write permission for that owner"),
        ("commit", 409, "something else was written there meanwhile (as the test wants it)"),
        ("commit", 500, "the Hub did not answer as it should (as the test wants it)"),
        ("validate-yaml", 400, "the Hub refuses what is sent"),
        ("whoami", 429, "the Hub asks to wait"),
        ("preupload", 402, "the Hub refuses what is sent"),
    ],
)
def test_what_the_hub_refuses_is_one_paragraph(
    hub: UploadHub, merged: Path, request_line: str, status: int, says: str
) -> None:
    hub.statuses = {request_line: [status]}
    assert says in refused(merged)
    assert not any(repository.commits for repository in hub.repositories.values())


def test_a_commit_of_somebody_else_in_between_is_not_written_over(hub: UploadHub, merged: Path) -> None:
    hub.put(REPOSITORY, {"README.md": b"# Mine\n"})
    hub.statuses = {"commit": [412]}
    assert "something else was written there meanwhile" in refused(merged)


@pytest.mark.parametrize(
    ("role", "repository", "says"),
    [
        ("read", REPOSITORY, "the token of me may only read; make one that may write"),
        ("write", "somebody/model", "somebody: is not yours to write to; the token is for me, lab:"),
        ("write", "readers/model", "readers: is not yours to write to"),
    ],
)
def test_rights_are_known_before_a_byte_is_sent(
    hub: UploadHub, merged: Path, role: str, repository: str, says: str
) -> None:
    hub.role = role
    assert says in refused(merged, repository=repository)
    assert hub.requests == ["GET /api/whoami-v2"]


def test_where_a_fine_grained_token_may_write_is_for_the_hub_to_say(hub: UploadHub, merged: Path) -> None:
    hub.role = "fineGrained"
    push(merged, repository="unlisted/model")
    assert len(hub.repositories["unlisted/model"].commits) == 1


def test_a_repository_of_something_else_is_not_mixed_up(hub: UploadHub, merged: Path) -> None:
    files = {".gitattributes": b"", "pytorch_model.bin": b"weights", "config.json": b"{}"}
    hub.put(REPOSITORY, files)
    assert "holds something else than a merge (config.json, pytorch_model.bin)" in refused(merged)
    assert hub.repositories[REPOSITORY].branches["main"] == files
    hub.put(REPOSITORY, {"merge.json": b"{}", "pytorch_model.bin": b"weights"})
    assert "holds something else than a merge (a merge.json of another kind)" in refused(merged)
    assert not hub.repositories[REPOSITORY].commits


def test_what_is_to_be_private_is_not_pushed_to_a_public_repository(hub: UploadHub, merged: Path) -> None:
    hub.put(REPOSITORY, {".gitattributes": b""})
    assert "is there already, and public" in refused(merged, "--private")
    assert not hub.repositories[REPOSITORY].commits


def test_without_a_token_or_a_network(
    hub: UploadHub, merged: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "offline mode is on (HF_HUB_OFFLINE)" in refused(merged)
    for token in (f"{TOKEN}\x7f", f"{TOKEN}ä", f"{TOKEN} {TOKEN}"):
        monkeypatch.setenv("HF_TOKEN", token)
        assert "the token for the Hub holds what no token has" in refused(merged)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    assert "no token for the Hub is here" in refused(merged)
    assert "no such folder" in refused(tmp_path / "none")  # which no token would mend
    assert "no such folder" in refused(tmp_path / "none", "--dry")
    assert not hub.requests


def edited(folder: Path) -> None:
    (folder / "config.json").write_text("{}")


def added(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")


def removed(folder: Path) -> None:
    next(folder.glob("*.safetensors")).unlink()


@pytest.mark.parametrize("change", [edited, added, removed])
def test_a_folder_that_is_not_as_it_was_merged(
    hub: UploadHub, merged: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    folder = shutil.copytree(merged, tmp_path / "copy")
    change(folder)
    assert "is not as it was merged: " in refused(folder)
    assert not hub.requests


@pytest.mark.usefixtures("hub")
def test_a_folder_that_is_no_finished_merge(merged: Path, tmp_path: Path) -> None:
    partial = shutil.copytree(merged, tmp_path / "half.partial")
    assert "is not finished; run the same merge again" in refused(partial)
    assert "is not finished; run the same merge again" in refused(tmp_path / "half")
    assert "no such folder; takes the one that a merge has written" in refused(tmp_path / "none")
    assert "has no merge.json; takes the folder of a finished merge" in refused(tmp_path)
    bare = run(merged.parent / "base", [merged.parent / "expert1"], tmp_path / "bare", {"method": "average"}).out
    record = json.loads((bare / "merge.json").read_text())
    del record["files"]["README.md"]
    (bare / "README.md").unlink()
    (bare / "merge.json").write_text(json.dumps(record))
    assert "holds weights alone, without config and card" in refused(bare)


def test_the_page_has_every_option() -> None:
    page = (ROOT / "docs" / "publishing.md").read_text(encoding="utf-8")
    commands = argparse.ArgumentParser().add_subparsers(parser_class=Arguments)
    add(commands)
    known = {word for word in commands.choices["push"]._option_string_actions if word.startswith("--")}
    assert known - {"--help", "--verbose"} == set(re.findall(r"--[a-z]+", page))


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("repository", ["merged", "me/a/b", "me/ä", "me/", "me/--x"])
def test_what_is_no_repository(merged: Path, repository: str) -> None:
    assert "is no repository; takes OWNER/NAME" in refused(merged, repository=repository)


@pytest.mark.usefixtures("hub")
def test_scores_that_are_not_this_model_s(merged: Path, tmp_path: Path) -> None:
    other = scores(tmp_path, merged, model_sha256=hashlib.sha256(b"another").hexdigest())
    assert "holds the scores of other weights than these" in refused(merged, "--scores", str(other))
    assert "holds no scores" in refused(merged, "--scores", str(merged / "config.json"))
    assert "holds no scores" in refused(merged, "--scores", str(scores(tmp_path, merged, score=None)))
    assert "cannot be read" in refused(merged, "--scores", str(tmp_path / "none.json"))
    board = ["--results", str(tmp_path / "leaderboard.csv")]
    assert "goes with --scores" in refused(merged, *board)
    own = scores(tmp_path, merged)
    (tmp_path / "leaderboard.csv").write_text("model,gsm8k_normalised\nmine,fair\n")
    assert "could not convert string to float: 'fair'" in refused(merged, "--scores", str(own), *board)
    named = scores(tmp_path, merged).rename(tmp_path / "another.json")
    assert "has no row of another, after which the score file is named" in refused(
        merged, "--scores", str(named), *board
    )
