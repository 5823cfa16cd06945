"""Repositories in the shape of real models, without their weights: true configs, names, shapes and sizes of files.

A weights file is its header and then nothing: it has its full size, and takes no room on the disk.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models
from transformers import AutoConfig, AutoModelForCausalLM

LLAMA_2_13B = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 32000,
    "hidden_size": 5120,
    "intermediate_size": 13824,
    "num_hidden_layers": 40,
    "num_attention_heads": 40,
    "num_key_value_heads": 40,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "torch_dtype": "float16",
}
LLAMA_32_3B = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 128256,
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 28,
    "num_attention_heads": 24,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-05,
    "rope_scaling": {
        "factor": 32.0,
        "high_freq_factor": 4.0,
        "low_freq_factor": 1.0,
        "original_max_position_embeddings": 8192,
        "rope_type": "llama3",
    },
    "rope_theta": 500000.0,
    "tie_word_embeddings": True,
    "bos_token_id": 128000,
    "eos_token_id": 128001,
    "torch_dtype": "bfloat16",
}
QWEN_25_05B = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "vocab_size": 151936,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "tie_word_embeddings": True,
    "use_sliding_window": False,
    "bos_token_id": 151643,
    "eos_token_id": 151643,
    "torch_dtype": "bfloat16",
}
SHARD = 5_000_000_000
DTYPES = {"float16": "F16", "bfloat16": "BF16"}
Shapes = Mapping[str, tuple[int, ...]]


def repository(folder: Path, config: Mapping[str, Any], tokens: int | None = None) -> Path:
    """A model's folder in shards; with a tokenizer where a number of tokens is given."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(dict(config)))
    dtype = DTYPES[config["torch_dtype"]]
    shards = list(shards_of(shapes(config)))
    names = [f"model-{number:05d}-of-{len(shards):05d}.safetensors" for number in range(1, len(shards) + 1)]
    for name, shard in zip(names, shards, strict=True):
        write_header(folder / name, shard, dtype)
    weight_map = {tensor: name for name, shard in zip(names, shards, strict=True) for tensor in shard}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    if tokens is not None:
        vocabulary = {f"t{row}": row for row in range(tokens)}
        Tokenizer(models.WordLevel(vocabulary, unk_token="t0")).save(str(folder / "tokenizer.json"))
    return folder


def adapter(folder: Path, config: Mapping[str, Any], rank: int) -> Path:
    """A LoRA adapter on all linear weights in blocks, as PEFT writes it."""
    folder.mkdir(parents=True)
    factors = {}
    for name, shape in shapes(config).items():
        if len(shape) == 2 and ".layers." in name:
            start = f"base_model.model.{name.removesuffix('.weight')}"
            factors[f"{start}.lora_A.weight"] = (rank, shape[1])
            factors[f"{start}.lora_B.weight"] = (shape[0], rank)
    write_header(folder / "adapter_model.safetensors", factors, "F32")
    settings = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "base_model_name_or_path": "Qwen/Qwen2.5-0.5B"}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder


def shapes(config: Mapping[str, Any]) -> Shapes:
    """Every tensor that a model of this config stores, as transformers builds it."""
    known = AutoConfig.for_model(**copy.deepcopy(dict(config)))  # which adds to what it is given
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(known)
    stored = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    return {name: shape for name, shape in stored.items() if not (known.tie_word_embeddings and "lm_head" in name)}


def shards_of(stored: Shapes) -> Iterator[Shapes]:
    """The tensors of each file, of two bytes an entry."""
    shard: dict[str, tuple[int, ...]] = {}
    for name, shape in stored.items():
        if shard and 2 * sum(map(prod, [*shard.values(), shape])) > SHARD:
            yield shard
            shard = {}
        shard[name] = shape
    yield shard


def write_header(file: Path, stored: Shapes, dtype: str) -> None:
    """A safetensors file whose weights are a hole in the file."""
    end, places = 0, {}
    for name, shape in stored.items():
        start, end = end, end + prod(shape) * (4 if dtype == "F32" else 2)
        places[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    header = json.dumps(places).encode()
    header += b" " * (-len(header) % 8)
    with file.open("wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        stream.truncate(8 + len(header) + end)
