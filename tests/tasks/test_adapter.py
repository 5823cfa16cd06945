"""LoRA adapters in the pipeline: fetched, subtracted, evaluated."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from tasks import paths
from tasks.evaluation.backends.hf import load_hf
from tasks.evaluation.identity import model_sha256
from tasks.params import Params, load_params
from tasks.zoo import ZooSettings, train
from tests.conftest import ROOT
from tests.tasks.hub import Hub
from wudi.checkpoint import Checkpoint
from wudi.errors import WudiError

pytestmark = pytest.mark.filterwarnings("ignore")  # of peft and transformers about each other


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hub's folder with a base and an adapter to it, and beside it what repositories of adapters often hold."""
    folder = tmp_path_factory.mktemp("hub") / "models" / "someone"
    train("base", folder / "base", ZooSettings(base_steps=1, expert_steps=1))
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(folder / "base"),
        LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], init_lora_weights=False),
    )
    model.peft_config["default"].base_model_name_or_path = "someone/else"
    for place in (folder / "adapter", folder / "adapter" / "checkpoint-10"):
        model.save_pretrained(place, save_embedding_layers=False)
        (place / "optimizer.pt").write_bytes(b"state")
        (place / "training_args.bin").write_bytes(b"pickle")
    return folder


def project(folder: Path, source: str) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["experts"] = {"one": {"source": source, "revision": None, "benchmarks": ["gsm8k"]}}
    values["evaluation"] |= {"benchmarks": {"gsm8k": {"task": "zoo_gsm8k", "limit": 4}}, "device": "cpu"}
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(values))


def run(folder: Path, *arguments: str, env: dict[str, str]) -> Any:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_an_adapter_from_the_hub(hub_server: Path, models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    with Hub(hub_server, tmp_path / "hf", root=models.parent.parent) as hub:
        project(folder, "someone/adapter")
        shutil.copytree(models / "base", folder / paths.BASE)
        shutil.copytree(models / "base", folder / f"{paths.expert('one')}.partial")  # of another source
        done = run(folder, "tasks.fetch", "expert", "one", env=hub.client(ROOT))
    assert (done.returncode, done.stderr) == (0, "")
    fetched = {
        str(file.relative_to(folder / paths.expert("one"))) for file in (folder / paths.expert("one")).rglob("*")
    }
    assert fetched == {"adapter_config.json", "adapter_model.safetensors", "source.json"}
    done = run(folder, "tasks.task_vectors", "one", env=hub.client(ROOT))
    assert (done.returncode, done.stderr) == (0, "")
    assert "% of the base's norm" in done.stdout
    assert Checkpoint(folder / paths.task_vector("one")).metadata["form"] == "factors"


def test_an_adapter_from_a_folder(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.fetch import fetch

    project(tmp_path, str(models / "adapter"))
    monkeypatch.chdir(tmp_path)
    params = load_params()
    fetch(params.experts["one"], paths.expert("one"), params)
    assert {file.name for file in paths.expert("one").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "source.json",
    }
    with pytest.raises(WudiError, match="is a PEFT adapter; name the model that it was trained on as the base"):
        fetch(params.experts["one"], paths.BASE, params)
    assert not paths.BASE.exists()


@pytest.fixture
def params(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    project(tmp_path, str(models / "adapter"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(models / "base", paths.BASE)
    shutil.copytree(models / "adapter", paths.expert("one"))
    return load_params()


def test_an_adapter_is_evaluated_on_the_projects_base(params: Params) -> None:
    model = load_hf(paths.expert("one"), params.evaluation).lm
    base = AutoModelForCausalLM.from_pretrained(paths.BASE)
    expected = PeftModel.from_pretrained(base, paths.expert("one")).merge_and_unload().state_dict()
    found = model.model.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())
    assert not model.model.training


def test_an_adapter_with_a_tokenizer_of_its_own(params: Params) -> None:
    for file in paths.BASE.glob("tokenizer*"):
        shutil.copyfile(file, paths.expert("one") / file.name)
    assert load_hf(paths.expert("one"), params.evaluation).tokenizer.chat_template is None
    (paths.expert("one") / "chat_template.jinja").write_text("{{ messages }}")
    model = load_hf(paths.expert("one"), params.evaluation).lm
    assert model.tokenizer.chat_template == "{{ messages }}"
    assert model.tok_encode("3 + 4") == load_hf(paths.BASE, params.evaluation).lm.tok_encode("3 + 4")


def test_the_hash_of_an_adapter_covers_its_settings_and_the_base(params: Params) -> None:
    del params
    hashes = {model_sha256(paths.expert("one"))}
    config = paths.expert("one") / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"lora_alpha": 9}))
    hashes.add(model_sha256(paths.expert("one")))
    next(paths.BASE.glob("*.safetensors")).write_bytes(b"other")
    hashes.add(model_sha256(paths.expert("one")))
    assert len(hashes) == 3


def test_without_peft_the_error_says_what_to_install(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(WudiError, match="pip install peft"):
        load_hf(paths.expert("one"), params.evaluation)


@pytest.mark.parametrize("settings", [{"r": 5}, {"target_modules": ["q_proj", "up_proj", "down_proj"]}])
def test_an_adapter_that_does_not_fit(settings: dict[str, Any], params: Params) -> None:
    config = paths.expert("one") / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | settings))
    with pytest.raises(WudiError, match=r"peft cannot apply it to models/base"):
        load_hf(paths.expert("one"), params.evaluation)
