"""Models to measure on: folders of a Llama's shape and the wanted size, drawn at random, as transformers saves them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from tokenizers import Tokenizer, models
from torch import Tensor

from wudi.checkpoint import Checkpoint
from wudi.folder import SINGLE
from wudi.preflight import check_disk
from wudi.safetensors_writer import write_safetensors
from wudi.tensor_info import TensorInfo

WEIGHT, STEP = 0.02, 1e-3
"""The standard deviation of a base's weights, and of what tells an expert from its base."""

CHUNK = 1 << 24
"""Entries that are drawn at a time in float32: memory does not grow with the tensor."""

SPECIAL = {"<unk>": 0, "<s>": 1, "</s>": 2}


@dataclass(frozen=True)
class Llama:
    """The numbers of a config.json that decide the size of a model."""

    hidden: int = 1024
    intermediate: int = 2816
    layers: int = 24
    vocabulary: int = 32000
    heads: int = 16
    key_value_heads: int = 16
    tied: bool = False

    def of_about(self, parameters: float) -> "Llama":
        """As many layers, at least one, as bring the model nearest to a number of parameters."""
        one, two = (replace(self, layers=layers).parameters for layers in (1, 2))
        return replace(self, layers=max(1, 1 + round((parameters - one) / (two - one))))

    @property
    def infos(self) -> dict[str, TensorInfo]:
        """Every tensor's dtype and shape, sorted by name."""
        narrow = self.hidden // self.heads * self.key_value_heads
        shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (self.vocabulary, self.hidden)}
        if not self.tied:
            shapes["lm_head.weight"] = (self.vocabulary, self.hidden)
        for layer in range(self.layers):
            prefix = f"model.layers.{layer}"
            shapes |= {f"{prefix}.self_attn.{name}_proj.weight": (self.hidden, self.hidden) for name in "qo"}
            shapes |= {f"{prefix}.self_attn.{name}_proj.weight": (narrow, self.hidden) for name in "kv"}
            shapes |= {f"{prefix}.mlp.{name}_proj.weight": (self.intermediate, self.hidden) for name in ("gate", "up")}
            shapes[f"{prefix}.mlp.down_proj.weight"] = (self.hidden, self.intermediate)
            shapes |= {f"{prefix}.{name}_layernorm.weight": (self.hidden,) for name in ("input", "post_attention")}
        shapes["model.norm.weight"] = (self.hidden,)
        return {name: TensorInfo("BF16", shape) for name, shape in sorted(shapes.items())}

    @property
    def parameters(self) -> int:
        """The entries of all tensors."""
        return sum(info.elements for info in self.infos.values())

    @property
    def bytes(self) -> int:
        """The size of one model."""
        return sum(info.bytes for info in self.infos.values())

    @property
    def largest(self) -> int:
        """The entries of the largest tensor."""
        return max(info.elements for info in self.infos.values())

    @property
    def config(self) -> dict[str, object]:
        """The content of config.json."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.key_value_heads,
            "head_dim": self.hidden // self.heads,
            "hidden_act": "silu",
            "max_position_embeddings": 2048,
            "rms_norm_eps": 1e-5,
            "vocab_size": self.vocabulary,
            "tie_word_embeddings": self.tied,
            "bos_token_id": SPECIAL["<s>"],
            "eos_token_id": SPECIAL["</s>"],
            "dtype": "bfloat16",
        }


@contextmanager
def on_disk(shape: Llama, experts: int, parent: Path | None, outputs: int) -> Iterator[list[Path]]:
    """The folders of a base and its experts, in a temporary folder of `parent` that is removed afterwards.

    Raises:
        WudiError: The disk has no room for them and for as many `outputs`.
    """
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=parent) as name:
        check_disk(Path(name), (1 + experts + outputs) * shape.bytes)
        yield write_models(shape, experts, Path(name))


def write_models(shape: Llama, experts: int, folder: Path) -> list[Path]:
    """The folders of a base and its experts, written tensor by tensor; the base comes first."""
    paths = [folder / ("base" if number == 0 else f"expert-{number}") for number in range(experts + 1)]
    for number, path in enumerate(paths):
        write_companions(shape, path)
        base = Checkpoint(paths[0]) if number else None
        write_safetensors(path / SINGLE, shape.infos, drawn(shape.infos, number, base), {"format": "pt"})
    return paths


def drawn(infos: dict[str, TensorInfo], seed: int, base: Checkpoint | None) -> Iterator[tuple[str, Tensor]]:
    """Random tensors around those of a base; without one, weights around 0 and norms around 1."""
    generator = torch.Generator().manual_seed(seed)
    for name, info in infos.items():
        centre = base.read(name) if base else torch.full(info.shape, float(len(info.shape) == 1), dtype=torch.bfloat16)
        tensor = torch.empty_like(centre)
        scale = STEP if base else WEIGHT
        for part, middle in zip(tensor.view(-1).split(CHUNK), centre.view(-1).split(CHUNK), strict=True):
            part.copy_(middle + scale * torch.randn(len(part), generator=generator))
        yield name, tensor


def write_companions(shape: Llama, path: Path) -> None:
    """What a model folder has beside its weights; the tokenizer knows the special tokens alone."""
    path.mkdir(parents=True)
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    generation = {"bos_token_id": SPECIAL["<s>"], "eos_token_id": SPECIAL["</s>"]}
    contents = {
        "config.json": shape.config,
        "generation_config.json": generation,
        "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", **tokens},
    }
    for name, content in contents.items():
        (path / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    tokenizer = Tokenizer(models.WordLevel(SPECIAL, unk_token="<unk>"))
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.save(str(path / "tokenizer.json"))
