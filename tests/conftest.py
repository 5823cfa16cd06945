"""Small checkpoints, and where the reference outputs lie if they are at hand."""

import gc
import os
import signal
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

# A shell starts what it puts into the background with Ctrl-C ignored, and so would run all that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Stages and hooks call dvc and python by their names: those beside this Python, also where nobody activated its venv.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole pipelines come first: begun last, the longest files would leave the other workers without work."""
    items.sort(key=lambda item: item.nodeid.startswith(("tests/tasks/", "tests/wudi/")))


@pytest.fixture(scope="module", autouse=True)
def _little_garbage() -> None:
    """statsmodels looks for garbage at every adjustment, among all that has ever been imported: that is none."""
    gc.freeze()


@pytest.fixture(scope="session")
def reference() -> Path:
    folder = SHARED / "reference"
    if not folder.is_dir():
        pytest.skip("the reference outputs are not at hand (../shared/reference)")
    return folder


@pytest.fixture(scope="session")
def hub_server() -> Path:
    server = SHARED / "hub" / "serve.py"
    if not server.is_file():
        pytest.skip("the benchmarks' data are not at hand (../shared/hub)")
    return server


def random_tensors(seed: int, scale: float = 1.0) -> dict[str, torch.Tensor]:
    """The tensors of a one-block Llama of hidden size 16, drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "model.embed_tokens.weight": (24, 16),
        "model.layers.0.self_attn.q_proj.weight": (16, 16),
        "model.layers.0.self_attn.k_proj.weight": (8, 16),
        "model.layers.0.self_attn.v_proj.weight": (8, 16),
        "model.layers.0.self_attn.o_proj.weight": (16, 16),
        "model.layers.0.mlp.gate_proj.weight": (32, 16),
        "model.layers.0.mlp.up_proj.weight": (32, 16),
        "model.layers.0.mlp.down_proj.weight": (16, 32),
        "model.layers.0.input_layernorm.weight": (16,),
        "model.layers.0.post_attention_layernorm.weight": (16,),
        "model.norm.weight": (16,),
        "lm_head.weight": (24, 16),
    }
    return {name: torch.randn(shape, generator=generator) * scale for name, shape in shapes.items()}


def moved(base: dict[str, torch.Tensor], seed: int, scale: float = 0.1) -> dict[str, torch.Tensor]:
    """An expert of the base: every weight moved a little."""
    steps = random_tensors(seed, scale)
    return {name: weight + steps[name] for name, weight in base.items()}


CONFIG = """{
  "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 16, "intermediate_size": 32,
  "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4, "vocab_size": 24,
  "max_position_embeddings": 32, "tie_word_embeddings": false, "dtype": "float32"
}
"""


def write_model(folder: Path, tensors: dict[str, torch.Tensor], shards: int = 1) -> Path:
    """A model folder as transformers writes it, in one file or in several with their index."""
    import json

    folder.mkdir(parents=True)
    (folder / "config.json").write_text(CONFIG)
    (folder / "generation_config.json").write_text('{"eos_token_id": 1}\n')
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        return folder
    names = sorted(tensors)
    weight_map = {}
    for number in range(shards):
        file = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        part = names[number::shards]
        save_file({name: tensors[name] for name in part}, folder / file, {"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


@pytest.fixture
def trio(tmp_path: Path) -> tuple[Path, list[Path]]:
    """A base in three shards and three experts of it, in one file each."""
    base = random_tensors(0)
    experts = [write_model(tmp_path / f"expert{seed}", moved(base, seed)) for seed in (1, 2, 3)]
    return write_model(tmp_path / "base", base, shards=3), experts
