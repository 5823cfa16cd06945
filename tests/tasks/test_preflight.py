"""What is told of the models of params.yaml before a weight of any is brought here."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
import torch
import yaml
from torch import Tensor

from tasks import paths
from tasks.params import Params, load_params
from tasks.preflight import SEEN, Look, preflight_once
from tests.conftest import CONFIG, ROOT, moved, random_tensors, write_model
from tests.wudi.range_hub import RangeHub
from wudi.errors import WudiError

EXPERTS = ("gsm8k", "math", "humaneval", "mbpp")
EMBEDDING = "model.embed_tokens.weight"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[RangeHub]:
    with RangeHub() as server:
        monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": server.url, "token": False})
        yield server


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Path]:
    """A base and an expert for each benchmark."""
    tensors = {name: moved(random_tensors(0), seed) for seed, name in enumerate(EXPERTS, 1)}
    return {
        name: write_model(tmp_path / "from" / name, own) for name, own in {"base": random_tensors(0), **tensors}.items()
    }


def rewritten(folder: Path, tensors: dict[str, Tensor]) -> None:
    """Another model in the place of one."""
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    write_model(folder, tensors)


def spoilt(models: dict[str, Path]) -> None:
    """One expert with more layers, one without a tensor, one with more rows of embeddings."""
    tensors = moved(random_tensors(0), 7)
    above = {name.replace("layers.0", "layers.1"): own.clone() for name, own in tensors.items() if "layers.0" in name}
    rewritten(models["math"], {**tensors, **above})
    rewritten(models["humaneval"], {name: own for name, own in tensors.items() if name != "model.norm.weight"})
    rewritten(models["mbpp"], {**tensors, EMBEDDING: torch.ones(26, 16)})


TOLD = [
    "params.yaml: experts.math: has 2 layers, the base 1",
    "params.yaml: experts.humaneval: misses tensor model.norm.weight",
    f"params.yaml: experts.mbpp: {EMBEDDING} has 26 rows, the base's 24: its vocabulary has other tokens or other "
    "padding; `vocabulary: base` aligns it by token and drops what the base has not, `vocabulary: union` adds that to "
    "the base's",
    "experts must be fine-tuned from the base that they are merged into",
]


def project(folder: Path, sources: dict[str, str]) -> Params:
    """params.yaml with these sources; a model without one comes from the zoo."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["base"]["source"] = sources.get("base", "zoo:base")
    for name in EXPERTS:
        values["experts"][name]["source"] = sources.get(name, f"zoo:{name}")
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    os.chdir(folder)
    return load_params()


@pytest.fixture(autouse=True)
def _come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def on(hub: RangeHub, models: dict[str, Path]) -> dict[str, str]:
    """The models as the Hub has them: their ids."""
    hub.folders = {f"someone/{name}": folder for name, folder in models.items()}
    return {name: f"someone/{name}" for name in models}


def test_every_problem_is_told_before_a_weight_is_downloaded(
    hub: RangeHub, models: dict[str, Path], tmp_path: Path
) -> None:
    spoilt(models)
    project(tmp_path / "project", on(hub, models))
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": str(ROOT)}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")} | settings
    command = [sys.executable, "-m", "tasks.fetch", "expert", "gsm8k"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, "error: " + "\n".join(TOLD) + "\n")
    assert hub.weight_bytes_sent() == 0
    assert not paths.MODELS.exists()


def test_models_that_fit_are_looked_at_once(hub: RangeHub, models: dict[str, Path], tmp_path: Path) -> None:
    params = project(tmp_path / "project", on(hub, models))
    preflight_once(params)
    asked = len(hub.requests)
    assert asked > 0
    preflight_once(params)
    assert len(hub.requests) == asked
    assert hub.weight_bytes_sent() == 0
    preflight_once(project(tmp_path / "project", {**on(hub, models), "math": str(models["math"])}))
    assert len(hub.requests) > asked


def test_a_folder_that_changes_is_looked_at_again(models: dict[str, Path], tmp_path: Path) -> None:
    params = project(tmp_path / "project", {name: str(folder) for name, folder in models.items()})
    preflight_once(params)
    spoilt(models)
    with pytest.raises(WudiError) as caught:
        preflight_once(params)
    assert str(caught.value).splitlines() == TOLD


def test_the_zoo_is_not_looked_at(hub: RangeHub, models: dict[str, Path], tmp_path: Path) -> None:
    spoilt(models)
    sources = on(hub, models)
    preflight_once(project(tmp_path / "all", {}))
    preflight_once(project(tmp_path / "experts", {"base": sources["base"]}))
    assert hub.requests == []
    with pytest.raises(WudiError, match=r"experts\.math: has 2 layers") as caught:
        preflight_once(project(tmp_path / "one", {"base": sources["base"], "math": sources["math"]}))
    assert "mbpp" not in str(caught.value)


def test_a_hub_that_does_not_answer_is_left_to_the_fetch(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": "http://127.0.0.1:1", "token": False})
    sources = {name: str(folder) for name, folder in models.items()}
    params = project(tmp_path / "project", {**sources, "gsm8k": "someone/gsm8k"})
    preflight_once(params)
    assert [file.name for file in SEEN.iterdir()] == [".lock"]
    spoilt(models)
    with pytest.raises(WudiError, match=r"experts\.math: has 2 layers"):
        preflight_once(params)


def test_what_is_not_there_or_holds_nothing_is_a_problem_among_the_others(
    hub: RangeHub, models: dict[str, Path], tmp_path: Path
) -> None:
    spoilt(models)
    (models["mbpp"] / "model.safetensors").rename(models["mbpp"] / "pytorch_model.bin")
    params = project(tmp_path / "project", {**on(hub, models), "gsm8k": "someone/nothing"})
    with pytest.raises(WudiError) as caught:
        preflight_once(params)
    told = str(caught.value).splitlines()
    assert told[0].startswith("params.yaml: experts.gsm8k: someone/nothing: no such folder here, and not found")
    assert told[1].startswith("params.yaml: experts.mbpp: someone/mbpp: holds pickle files alone")
    assert told[2:] == [*TOLD[:2], TOLD[-1]]


def test_what_is_fetched_already_is_read_where_it_lies(hub: RangeHub, models: dict[str, Path], tmp_path: Path) -> None:
    params = project(tmp_path / "project", on(hub, models))
    paths.EXPERTS.mkdir(parents=True)
    models["math"].rename(paths.expert("math"))
    (paths.expert("math") / "source.json").write_text(json.dumps({"source": "someone/math", "revision": None}))
    preflight_once(params)
    assert not any("someone/math" in request for request in hub.requests)


def test_room_for_all_that_will_be_written(models: dict[str, Path], tmp_path: Path) -> None:
    params = project(tmp_path / "project", {name: str(folder) for name, folder in models.items()})
    outputs = Look.at(params).outputs(params)
    weights, whole = sum(tensor.numel() * 4 for tensor in random_tensors(0).values()), len(params.recipes)
    files = sum((folder / "model.safetensors").stat().st_size for folder in models.values())
    assert outputs == {paths.MODELS: files, paths.TASK_VECTORS: 4 * weights, paths.MERGED: whole * weights}
    paths.merged("ties").mkdir(parents=True)
    paths.task_vector("math").mkdir(parents=True)
    outputs = Look.at(params).outputs(params)
    assert (outputs[paths.TASK_VECTORS], outputs[paths.MERGED]) == (3 * weights, (whole - 1) * weights)


def test_by_hand_it_tells_notes(models: dict[str, Path], tmp_path: Path) -> None:
    (models["math"] / "config.json").write_text(json.dumps({**json.loads(CONFIG), "max_position_embeddings": 64}))
    project(tmp_path / "project", {name: str(folder) for name, folder in models.items()})
    command = [sys.executable, "-m", "tasks.preflight"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        "params.yaml: experts.math: its max_position_embeddings is 64, the base's 32, which the merged model gets",
        "5 models looked at, and nothing is in the way of merging them",
    ]
