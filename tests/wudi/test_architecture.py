"""Layer kinds come from the architecture."""

from pathlib import Path

import pytest
import torch

from tests.conftest import random_tensors, write_model
from wudi.architecture import Role, role_by_name, roles
from wudi.checkpoint import Checkpoint


def test_llama(tmp_path: Path) -> None:
    found = roles(Checkpoint(write_model(tmp_path / "model", random_tensors(0))))
    for name, role in found.items():
        expected = "linear" if "proj" in name else "rest" if "norm" in name else "embedding"
        assert role == Role(expected), name


def test_gpt2_stores_its_linear_weights_transposed(tmp_path: Path) -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=16, n_positions=8)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    found = roles(Checkpoint(tmp_path / "gpt2"))
    linear = {name for name, role in found.items() if role.kind == "linear"}
    assert {name.split(".", 3)[-1] for name in linear} == {
        "attn.c_attn.weight",
        "attn.c_proj.weight",
        "mlp.c_fc.weight",
        "mlp.c_proj.weight",
    }
    assert all(found[name].transposed for name in linear)
    assert {name for name, role in found.items() if role.kind == "embedding"} == {
        "transformer.wte.weight",
        "transformer.wpe.weight",
    }


def test_a_transposed_layer_is_merged_as_its_transpose(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from wudi import Recipe
    from wudi.experts import open_experts
    from wudi.merge import merge

    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(6, 10, generator=generator) * 0.1 for _ in range(3)]
    outs = {}
    for name, stored in {"h.0.mlp.c_fc.weight": lambda w: w.T.contiguous(), "h.0.mlp.up.weight": lambda w: w}.items():
        folder = tmp_path / name
        folder.mkdir()
        for number, weight in enumerate(weights):
            save_file({name: stored(weight)}, folder / f"{number}.safetensors")
        experts = open_experts([folder / "1.safetensors", folder / "2.safetensors"])
        out = merge(
            Checkpoint(folder / "0.safetensors"), experts, Recipe.parse({"method": "swudi"}), folder / "out"
        ).out
        outs[name] = load_file(out / "model.safetensors")[name]
    torch.testing.assert_close(outs["h.0.mlp.c_fc.weight"].T, outs["h.0.mlp.up.weight"])


@pytest.mark.parametrize(
    ("name", "dimensions", "kind"),
    [
        ("model.layers.3.self_attn.q_proj.weight", 2, "linear"),
        ("model.layers.3.input_layernorm.weight", 1, "rest"),
        ("model.layers.3.self_attn.q_proj.bias", 1, "rest"),
        ("model.embed_tokens.weight", 2, "embedding"),
        ("lm_head.weight", 2, "embedding"),
        ("roberta.embeddings.word_embeddings.weight", 2, "embedding"),
        ("model.layers.3.mlp.experts.up_proj.weight", 3, "rest"),
    ],
)
def test_names_decide_where_no_class_is_known(name: str, dimensions: int, kind: str) -> None:
    assert role_by_name(name, dimensions).kind == kind
