"""docs/first-merge.md, word for word: its commands, what they print, and its mistakes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from tests.conftest import ROOT
from tests.docs.blocks import Block, blocks
from tests.docs.playing import play
from tests.small_experiment import copy_project

PAGE = blocks("first-merge.md")
MEASURED = "Is it any good?"
NEEDS_A_RUN = ("dvc repro", "tasks.leaderboard", "tasks.samples")
EMBEDDINGS = ("model.embed_tokens.weight", "lm_head.weight")


def shipped(**zoo: int) -> dict[str, Any]:
    """params.yaml as a clone has it, with a zoo that is trained for so long."""
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    return params | {"zoo": params["zoo"] | zoo}


def split() -> tuple[list[Block], list[Block]]:
    """The blocks up to the experiment with what makes its file, and those of the mistakes."""
    begin = next(number for number, block in enumerate(PAGE) if "practice/bse" in block.text)
    return PAGE[:begin], PAGE[begin:]


def odd_models(folder: Path) -> None:
    """The models that only mistakes have: each a copy of the expert `maths` with something about it changed."""
    tensors = load_file(folder / "maths" / "model.safetensors")
    for name in ("other", "pickles", "padded", "bare"):
        shutil.copytree(folder / "maths", folder / name)
    (folder / "pickles" / "model.safetensors").unlink()
    torch.save(tensors, folder / "pickles" / "pytorch_model.bin")
    rewrite(
        folder / "other", {name: tensors[name] for name in tensors if ".layers.3." not in name}, num_hidden_layers=3
    )
    longer = {name: torch.cat([tensors[name], tensors[name][:1]]) for name in EMBEDDINGS}
    for name in ("padded", "bare"):
        rewrite(folder / name, tensors | longer, vocab_size=513)
    for file in (folder / "bare").glob("tokenizer*"):
        file.unlink()
    (folder / "adapter").mkdir()
    (folder / "adapter" / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 2, "lora_alpha": 4}')
    factors = {"lora_A": torch.ones(2, 128), "lora_B": torch.ones(128, 2)}
    module = "base_model.model.model.layers.0.self_attn.q_proj"
    save_file(
        {f"{module}.{name}.weight": factor for name, factor in factors.items()},
        folder / "adapter" / "adapter_model.safetensors",
    )


def rewrite(folder: Path, tensors: dict[str, torch.Tensor], **config: int) -> None:
    """Give a model other tensors, and say so in its config."""
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    said = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(said | config))


def without_gpu(block: Block) -> bool:
    """Whether what the page shows is what this machine would say."""
    return "--device cuda" not in block.text or not torch.cuda.is_available()


def test_the_page_up_to_the_experiment_and_its_mistakes(tmp_path: Path) -> None:
    """Models of one training step: no score is worth anything, and none is made."""
    project = tmp_path / "wudi"
    copy_project(project, shipped(base_steps=1, expert_steps=1))
    way, mistakes = split()
    params = next(block for block in way if block.section == MEASURED and block.language == "yaml")
    play(project, [block for block in way if not any(word in block.text for word in NEEDS_A_RUN)])
    odd_models(project / "practice")
    (project / "params.yaml").write_text(params.text)
    play(project, [block for block in mistakes if without_gpu(block)])


@pytest.mark.long
@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_the_whole_experiment(tmp_path: Path) -> None:
    project = tmp_path / "wudi"
    copy_project(project, shipped())
    way, _ = split()
    play(project, way)
