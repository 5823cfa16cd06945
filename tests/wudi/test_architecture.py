"""Layer kinds come from the architecture."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conftest import random_tensors, write_model
from wudi.architecture import Role, role_by_name, roles, tied
from wudi.checkpoint import Checkpoint
from wudi.errors import WudiError
from wudi.roles_by_class import known_model, known_model_of

TEXT = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 32,
    "max_position_embeddings": 16,
    "pad_token_id": 0,
}
DEEP = {**TEXT, "head_dim": 8}
EXPERTS = {**DEEP, "num_experts": 4, "num_local_experts": 4, "moe_intermediate_size": 12, "num_experts_per_tok": 2}
GPT = {"n_embd": 8, "n_layer": 1, "n_head": 2, "vocab_size": 16, "n_positions": 8}
IMAGE = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 8,
    "patch_size": 4,
}
SEQ2SEQ = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2, "vocab_size": 32}
LATENT = {
    **EXPERTS,
    "num_key_value_heads": 2,
    "n_routed_experts": 4,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 0,
    "q_lora_rank": 8,
    "kv_lora_rank": 8,
    "head_dim": 4,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4,
    "v_head_dim": 8,
    "n_shared_experts": 1,
}
HYBRID = {
    **EXPERTS,
    "num_hidden_layers": 2,
    "attn_layer_period": 2,
    "attn_layer_offset": 1,
    "expert_layer_period": 2,
    "expert_layer_offset": 1,
    "use_mamba_kernels": False,
    "mamba_d_state": 4,
    "mamba_dt_rank": 4,
}
ROTARY = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}
PATCHES = {"depth": 1, "hidden_size": 16, "embed_dim": 16, "num_heads": 2, "patch_size": 4}
PATCHES_QWEN3 = {
    **PATCHES,
    "intermediate_size": 24,
    "out_hidden_size": 16,
    "deepstack_visual_indexes": [0],
    "num_position_embeddings": 16,
}
QWEN3_VL_MOE = {"text_config": {**EXPERTS, "rope_parameters": ROTARY}, "vision_config": PATCHES_QWEN3}

FAMILIES: dict[str, dict[str, Any]] = {
    "GPT2LMHeadModel": {**GPT, "add_cross_attention": True},
    "OpenAIGPTLMHeadModel": GPT,
    "GPTBigCodeForCausalLM": GPT,
    "LlamaForCausalLM": TEXT,
    "MistralForCausalLM": TEXT,
    "Qwen2ForCausalLM": TEXT,
    "Qwen3ForCausalLM": DEEP,
    "Gemma2ForCausalLM": DEEP,
    "Gemma3ForCausalLM": DEEP,
    "CohereForCausalLM": {**TEXT, "use_qk_norm": True},
    "PhiForCausalLM": TEXT,
    "Phi3ForCausalLM": TEXT,
    "GPTNeoXForCausalLM": TEXT,
    "FalconForCausalLM": TEXT,
    "BertForSequenceClassification": TEXT,
    "BertForPreTraining": TEXT,
    "RobertaForMaskedLM": TEXT,
    "RobertaForSequenceClassification": TEXT,
    "ViTForImageClassification": IMAGE,
    "CLIPModel": {"text_config": TEXT, "vision_config": IMAGE, "projection_dim": 8},
    "SiglipModel": {"text_config": TEXT, "vision_config": IMAGE},
    "T5ForConditionalGeneration": SEQ2SEQ,
    "Qwen2VLForConditionalGeneration": {"text_config": {**TEXT, "rope_parameters": ROTARY}, "vision_config": PATCHES},
    "Qwen3VLMoeForConditionalGeneration": QWEN3_VL_MOE,
    "MixtralForCausalLM": EXPERTS,
    "Qwen2MoeForCausalLM": {**EXPERTS, "shared_expert_intermediate_size": 20},
    "Qwen3MoeForCausalLM": EXPERTS,
    "OlmoeForCausalLM": EXPERTS,
    "PhimoeForCausalLM": EXPERTS,
    "GptOssForCausalLM": EXPERTS,
    "Llama4ForCausalLM": {**EXPERTS, "intermediate_size_mlp": 24, "interleave_moe_layer_step": 1},
    "DeepseekV3ForCausalLM": LATENT,
    "GraniteMoeForCausalLM": EXPERTS,
    "JetMoeForCausalLM": {**TEXT, "num_local_experts": 4, "kv_channels": 8},
    "JambaForCausalLM": HYBRID,
}

STACKED = {
    "MixtralForCausalLM": False,
    "Qwen2MoeForCausalLM": False,
    "Qwen3MoeForCausalLM": False,
    "OlmoeForCausalLM": False,
    "DeepseekV3ForCausalLM": False,
    "GraniteMoeForCausalLM": False,
    "GptOssForCausalLM": True,
    "Llama4ForCausalLM": True,
}
"""Whether a family's stacks of experts are stored as (expert, in, out)."""


def tiny(architecture: str, **settings: Any) -> Any:
    """A small model of a family, with random weights."""
    import transformers

    model_class = getattr(transformers, architecture)
    torch.manual_seed(0)
    return model_class(model_class.config_class(**{**FAMILIES[architecture], **settings}))


def saved(architecture: str, folder: Path, **settings: Any) -> Checkpoint:
    """A small model of a family, under the names that its checkpoints have on the Hub."""
    tiny(architecture, **settings).save_pretrained(folder)
    return Checkpoint(folder)


def restored(source: Checkpoint, tensors: dict[str, torch.Tensor], **config: Any) -> Checkpoint:
    """The model of `source` with other tensors and changed settings."""
    folder = source.path.with_name("restored")
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**source.config, **config}))
    save_file(tensors, folder / "model.safetensors")
    return Checkpoint(folder)


def short(names: set[str]) -> set[str]:
    """Names without the path to the block and without `.weight`."""
    return {name.rpartition(".0.")[2].removesuffix(".weight") for name in names}


def of_kind(found: dict[str, Role], kind: str) -> set[str]:
    return {name for name, role in found.items() if role.kind == kind}


def test_llama(tmp_path: Path) -> None:
    found = roles(Checkpoint(write_model(tmp_path / "model", random_tensors(0))))
    for name, role in found.items():
        expected = "linear" if "proj" in name else "rest" if "norm" in name else "embedding"
        assert role == Role(expected), name


@pytest.mark.parametrize(
    ("architecture", "linear", "embedding"),
    [
        ("Phi3ForCausalLM", {"qkv_proj", "o_proj", "gate_up_proj", "down_proj"}, {"embed_tokens", "lm_head"}),
        (
            "GPTNeoXForCausalLM",
            {"query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"},
            {"embed_in", "embed_out"},
        ),
        ("FalconForCausalLM", {"query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"}, {"word_embeddings"}),
        (
            "Gemma2ForCausalLM",
            {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"},
            {"embed_tokens"},
        ),
        (
            "BertForSequenceClassification",
            {"query", "key", "value", "dense"},
            {"word_embeddings", "position_embeddings", "token_type_embeddings", "pooler.dense", "classifier"},
        ),
        (
            "ViTForImageClassification",
            {"query", "key", "value", "dense"},
            {"classifier"},
        ),
        (
            "CLIPModel",
            {"q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"},
            {"token_embedding", "position_embedding", "text_projection", "visual_projection"},
        ),
        ("T5ForConditionalGeneration", {"q", "k", "v", "o", "wi", "wo"}, {"shared", "relative_attention_bias"}),
        (
            "MixtralForCausalLM",
            {"q_proj", "k_proj", "v_proj", "o_proj", "block_sparse_moe.gate", "w1", "w2", "w3"},
            {"embed_tokens", "lm_head"},
        ),
        (
            "DeepseekV3ForCausalLM",
            {
                *("q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"),
                *("mlp.gate", "gate_proj", "up_proj", "down_proj"),
            },
            {"embed_tokens", "lm_head"},
        ),
    ],
)
def test_known_families(architecture: str, linear: set[str], embedding: set[str], tmp_path: Path) -> None:
    found = roles(saved(architecture, tmp_path / "model"))
    for kind, ends in (("linear", linear), ("embedding", embedding)):
        names = {name.removesuffix(".weight") for name in of_kind(found, kind)}
        assert all(any(name.endswith(end) for end in ends) for name in names), names
        assert all(any(name.endswith(end) for name in names) for end in ends), ends
    assert not any(role.transposed for role in found.values())


@pytest.mark.parametrize("architecture", FAMILIES)
def test_names_alone_say_what_the_class_says(architecture: str, tmp_path: Path) -> None:
    model = saved(architecture, tmp_path / "model")
    assert roles(Checkpoint(tmp_path / "model" / "model.safetensors")) == roles(model)


def test_gpt2_stores_its_linear_weights_transposed(tmp_path: Path) -> None:
    found = roles(saved("GPT2LMHeadModel", tmp_path / "model"))
    linear = of_kind(found, "linear")
    assert short(linear) == {
        *("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"),
        *("crossattention.c_attn", "crossattention.q_attn", "crossattention.c_proj"),
    }
    assert all(found[name].transposed for name in linear)
    assert of_kind(found, "embedding") == {"transformer.wte.weight", "transformer.wpe.weight"}


def test_gpt_bigcode_has_gpt2_names_and_does_not_transpose(tmp_path: Path) -> None:
    found = roles(saved("GPTBigCodeForCausalLM", tmp_path / "model"))
    assert short(of_kind(found, "linear")) == {"attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"}
    assert not any(role.transposed for role in found.values())


@pytest.mark.parametrize(
    ("model_type", "shapes", "transposed"),
    [
        (None, {}, True),
        ("gpt2", {}, True),
        ("gpt_bigcode", {}, False),
        (None, {"h.0.attn.c_attn.weight": (8, 24)}, True),
        (None, {"h.0.attn.c_attn.weight": (24, 8)}, False),
        (None, {"h.0.mlp.c_proj.weight": (8, 32), "h.0.mlp.c_proj.bias": (8,)}, False),
        (None, {"h.0.mlp.c_proj.weight": (32, 8), "h.0.mlp.c_proj.bias": (8,)}, True),
    ],
)
def test_gpt2_names_are_not_trusted_against_type_and_shapes(
    model_type: str | None, shapes: dict[str, tuple[int, ...]], transposed: bool
) -> None:
    assert role_by_name("h.0.mlp.c_proj.weight", 2, model_type, shapes) == Role("linear", transposed)


@pytest.mark.parametrize(
    ("architecture", "name", "own"),
    [
        ("GPT2LMHeadModel", "h.0.attn.c_attn.weight", "transformer.h.0.attn.c_attn.weight"),
        ("GPT2Model", "transformer.h.0.attn.c_attn.weight", "h.0.attn.c_attn.weight"),
        ("BertForSequenceClassification", "pooler.dense.weight", "bert.pooler.dense.weight"),
        ("BertForPreTraining", "bert.embeddings.LayerNorm.gamma", "bert.embeddings.LayerNorm.weight"),
        ("GPTNeoXForCausalLM", "embed_out.weight", "lm_head.weight"),
        (
            "MixtralForCausalLM",
            "model.layers.0.block_sparse_moe.experts.3.w1.weight",
            "model.layers.0.mlp.experts.gate_up_proj",
        ),
        (
            "Qwen2VLForConditionalGeneration",
            "visual.blocks.0.attn.qkv.weight",
            "model.visual.blocks.0.attn.qkv.weight",
        ),
        ("LlamaForCausalLM", "model.layers.0.self_attn.gate.weight", None),
    ],
)
def test_names_on_the_hub_differ_from_the_class_s(architecture: str, name: str, own: str | None) -> None:
    import transformers

    model_class = getattr(transformers, architecture)
    family = {"GPT2Model": "GPT2LMHeadModel"}.get(architecture, architecture)
    config = model_class.config_class(**FAMILIES[family], architectures=[architecture])
    model = known_model(json.loads(config.to_json_string()))
    assert model is not None
    assert model.own_name(name) == own


def test_gpt2_as_the_hub_holds_it(tmp_path: Path) -> None:
    model = saved("GPT2LMHeadModel", tmp_path / "model")
    tensors = {
        name.removeprefix("transformer."): tensor
        for name, tensor in load_file(next(iter(model.paths.values()))).items()
    }
    assert roles(restored(model, tensors)) == {
        name.removeprefix("transformer."): role for name, role in roles(model).items()
    }


def test_a_base_model_s_class_reads_the_names_of_one_with_a_head(tmp_path: Path) -> None:
    model = saved("BertForSequenceClassification", tmp_path / "model")
    assert roles(restored(model, load_file(next(iter(model.paths.values()))), architectures=["BertModel"])) == roles(
        model
    )


@pytest.mark.parametrize("architecture", STACKED)
def test_stacks_of_experts_as_the_forward_pass_uses_them(architecture: str, tmp_path: Path) -> None:
    """With one token x the gradient of each expert's (out, in) matrix is a column times x transposed."""
    model = tiny(architecture, experts_implementation="eager")
    experts = next(module for module in model.modules() if hasattr(module, "gate_up_proj"))
    seen: list[torch.Tensor] = []
    experts.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    model(input_ids=torch.tensor([[3]])).logits.square().sum().backward()
    token = torch.nn.functional.normalize(seen[0].reshape(-1, 16)[-1:], dim=1)

    name = next(name for name, _ in model.named_parameters() if name.endswith("experts.gate_up_proj"))
    model.config.save_pretrained(tmp_path)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    found = roles(Checkpoint(tmp_path))
    assert found[name] == found[name.replace("gate_up", "down")] == Role("linear", STACKED[architecture])

    for gradient in experts.gate_up_proj.grad:
        matrix = gradient.T if found[name].transposed else gradient
        torch.testing.assert_close(matrix, (matrix @ token.T) @ token)
    assert experts.gate_up_proj.grad.any()


@pytest.mark.parametrize("width", [12, 8])
def test_a_checkpoint_that_transformers_transposes_on_loading(width: int, tmp_path: Path) -> None:
    """Qwen3-VL-MoE on the Hub holds (expert, in, out), its class (expert, out, in); at width 8 one stack is square."""
    text = {**QWEN3_VL_MOE["text_config"], "moe_intermediate_size": width}
    model = saved("Qwen3VLMoeForConditionalGeneration", tmp_path / "model", text_config=text)
    tensors = load_file(next(iter(model.paths.values())))
    stacks = [name for name in tensors if "experts" in name]
    turned = {name: tensors[name].transpose(1, 2).contiguous() for name in stacks}
    found = roles(restored(model, {**tensors, **turned}))
    assert len(stacks) == 2
    assert {name for name, role in found.items() if role.transposed} == set(stacks)


def test_what_looks_like_a_stack_and_is_none(tmp_path: Path) -> None:
    found = roles(saved("JambaForCausalLM", tmp_path / "model"))
    assert found["model.layers.0.mamba.conv1d.weight"] == found["model.layers.0.mamba.A_log"] == Role("rest")
    assert found["model.layers.0.mamba.in_proj.weight"] == Role("linear")


def test_a_transposed_layer_is_merged_as_its_transpose(tmp_path: Path) -> None:
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
        ("model.layers.3.mlp.experts.up_proj.weight", 3, "linear"),
        ("model.layers.3.block_sparse_moe.experts.5.w1.weight", 2, "linear"),
        ("model.layers.3.block_sparse_moe.gate.weight", 2, "linear"),
        ("model.layers.3.mlp.experts.gate_up_proj_bias", 2, "rest"),
        ("model.layers.3.self_attn.q_norm.weight", 2, "rest"),
        ("backbone.layers.3.mixer.conv1d.weight", 3, "rest"),
        ("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", 2, "embedding"),
        ("visual.blocks.0.attn.qkv.weight", 2, "linear"),
        ("visual.merger.mlp.0.weight", 2, "embedding"),
        ("visual.transformer.resblocks.0.attn.in_proj_weight", 2, "linear"),
        ("visual.patch_embed.proj.weight", 5, "rest"),
        ("bert.pooler.dense.weight", 2, "embedding"),
    ],
)
def test_names_decide_where_no_class_is_known(name: str, dimensions: int, kind: str) -> None:
    assert role_by_name(name, dimensions).kind == kind


@pytest.mark.parametrize(
    ("up", "down", "transposed"),
    [((4, 48, 16), (4, 16, 24), False), ((4, 16, 48), (4, 24, 16), True), ((4, 16, 16), (4, 8, 16), True)],
)
def test_shapes_tell_the_orientation_of_a_stack(up: tuple[int, ...], down: tuple[int, ...], transposed: bool) -> None:
    names = [f"model.layers.0.mlp.experts.{part}" for part in ("gate_up_proj", "down_proj")]
    for name in names:
        assert role_by_name(name, 3, shapes=dict(zip(names, (up, down), strict=True))) == Role("linear", transposed)


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("LlamaForCausalLM", {"lm_head.weight": "model.embed_tokens.weight"}),
        ("GPTNeoXForCausalLM", {"embed_out.weight": "gpt_neox.embed_in.weight"}),
        (
            "T5ForConditionalGeneration",
            dict.fromkeys(
                ("decoder.embed_tokens.weight", "encoder.embed_tokens.weight", "lm_head.weight"), "shared.weight"
            ),
        ),
    ],
)
def test_tied_names_each_copy_that_the_checkpoint_holds(
    architecture: str, expected: dict[str, str], tmp_path: Path
) -> None:
    model = saved(architecture, tmp_path / "model", tie_word_embeddings=True)
    assert tied(model) == {}
    tensors = load_file(next(iter(model.paths.values())))
    copies = {alias: tensors[canonical].clone() for alias, canonical in expected.items()}
    both = restored(model, {**tensors, **copies})
    assert tied(both) == expected
    assert tied(Checkpoint(next(iter(both.paths.values())))) == {}


def test_tied_finds_names_without_the_prefix(tmp_path: Path) -> None:
    model = saved("GPT2LMHeadModel", tmp_path / "model")
    tensors = {
        name.removeprefix("transformer."): tensor
        for name, tensor in load_file(next(iter(model.paths.values()))).items()
    }
    both = restored(model, {**tensors, "lm_head.weight": tensors["wte.weight"].clone()})
    assert tied(both) == {"lm_head.weight": "wte.weight"}


@pytest.mark.parametrize("architecture", ["LlamaForCausalLM", "T5ForConditionalGeneration"])
def test_nothing_is_tied_where_the_config_says_so(architecture: str, tmp_path: Path) -> None:
    model = saved(architecture, tmp_path / "model")
    tensors = load_file(next(iter(model.paths.values())))
    tensors |= {"lm_head.weight": next(iter(tensors.values())).clone()}
    assert tied(restored(model, tensors, tie_word_embeddings=False)) == {}


def test_the_model_is_built_once(tmp_path: Path) -> None:
    model = saved("LlamaForCausalLM", tmp_path / "model")
    known_model_of.cache_clear()
    for checkpoint in (model, Checkpoint(model.path)):
        dict(roles(checkpoint))
        tied(checkpoint)
    assert known_model_of.cache_info().misses == 1


def test_a_config_that_fits_no_class(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", random_tensors(0))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": "two"}))
    with pytest.raises(WudiError, match="cannot build LlamaForCausalLM"):
        dict(roles(Checkpoint(folder)))
