from copy import deepcopy
from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from wudi.role import Role
from wudi.roles_by_class import known_model
from wudi.roles_by_name import role_by_name
from wudi.tensor_info import TensorInfo
from wudi.vocabulary_tensors import vocab_sizes, vocabulary_tensors, with_vocab_size

SMALL = {"vocab_size": 48, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
TEXT = {**SMALL, "num_key_value_heads": 1, "head_dim": 8}
VISION = {
    "hidden_size": 48,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
}
MODELS: list[tuple[type[PreTrainedModel], Any]] = [
    (LlamaForCausalLM, LlamaConfig(**SMALL, tie_word_embeddings=False)),
    (LlamaForCausalLM, LlamaConfig(**SMALL, tie_word_embeddings=True)),
    (PhiForCausalLM, PhiConfig(**SMALL)),
    (GPT2LMHeadModel, GPT2Config(vocab_size=48, n_positions=48, n_embd=16, n_layer=1, n_head=2)),
    (BertForMaskedLM, BertConfig(**SMALL, max_position_embeddings=48)),
    (T5ForConditionalGeneration, T5Config(vocab_size=48, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)),
    (Gemma3ForConditionalGeneration, Gemma3Config(text_config=TEXT, vision_config=VISION, mm_tokens_per_image=4)),
]


def built(architecture: type[PreTrainedModel], settings: Any) -> tuple[dict[str, TensorInfo], dict[str, Any]]:
    """The tensors of a model and its config.json."""
    with torch.device("meta"):
        model = architecture(settings)
    infos = {name: TensorInfo("F32", tuple(tensor.shape)) for name, tensor in model.state_dict().items()}
    return infos, {**settings.to_dict(), "architectures": [architecture.__name__]}


def resized(architecture: type[PreTrainedModel], settings: Any) -> PreTrainedModel:
    """The model with more rows, as transformers makes them."""
    model = architecture(deepcopy(settings))
    model.resize_token_embeddings(64, mean_resizing=False)
    return model


def by_class(infos: dict[str, TensorInfo], config: dict[str, Any]) -> dict[str, Role]:
    model = known_model(config)
    assert model is not None
    shapes = {name: info.shape for name, info in infos.items()}
    return {name: model.role(name, shapes) or role_by_name(name, len(shape)) for name, shape in shapes.items()}


@pytest.mark.parametrize(("architecture", "settings"), MODELS, ids=lambda value: getattr(value, "__name__", ""))
def test_they_are_the_tensors_that_resizing_changes(architecture: type[PreTrainedModel], settings: Any) -> None:
    infos, config = built(architecture, settings)
    model = resized(architecture, settings)
    changed = {name for name, tensor in model.state_dict().items() if tuple(tensor.shape) != infos[name].shape}
    assert changed and set(vocabulary_tensors(infos, by_class(infos, config), config)) == changed


@pytest.mark.parametrize(("architecture", "settings"), MODELS, ids=lambda value: getattr(value, "__name__", ""))
def test_the_new_size_is_what_transformers_writes(architecture: type[PreTrainedModel], settings: Any) -> None:
    _, config = built(architecture, settings)
    model = resized(architecture, settings)
    assert vocab_sizes(with_vocab_size(config, 64)) == vocab_sizes(model.config.to_dict()) == {64}
    assert vocab_sizes(config) == {48}


def test_without_a_config_the_names_tell() -> None:
    shapes = {
        "model.embed_tokens.weight": (48, 16),
        "model.embed_positions.weight": (48, 16),
        "model.layers.0.mlp.up_proj.weight": (48, 16),
        "model.layers.0.mlp.up_proj.bias": (48,),
        "score.weight": (2, 16),
        "score.bias": (2,),
        "lm_head.weight": (48, 16),
        "lm_head.bias": (48,),
    }
    infos = {name: TensorInfo("F32", shape) for name, shape in shapes.items()}
    roles = {name: role_by_name(name, len(shape)) for name, shape in shapes.items()}
    expected = ("lm_head.bias", "lm_head.weight", "model.embed_tokens.weight")
    for config in ({}, {"vocab_size": 48}, {"vocab_size": 50}):
        assert vocabulary_tensors(infos, roles, config) == expected


def test_a_config_that_states_no_size_gets_one() -> None:
    assert with_vocab_size({"model_type": "llama"}, 9) == {"model_type": "llama", "vocab_size": 9}
    nested = {"text_config": {"model_type": "llama"}, "vision_config": {"vocab_size": 3}}
    changed = with_vocab_size(nested, 9)
    assert changed["text_config"]["vocab_size"] == 9 and "vocab_size" not in changed
    assert changed["vision_config"] == {"vocab_size": 3} and "vocab_size" not in nested["text_config"]
