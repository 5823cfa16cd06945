"""Experts of a small base with something changed in each."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.conftest import CONFIG, moved, random_tensors, write_model
from wudi.checkpoint import Checkpoint
from wudi.experts import ExpertOutline
from wudi.preflight import Findings, examine
from wudi.remote import outline

Q, EMBEDDING, HEAD = "model.layers.0.self_attn.q_proj.weight", "model.embed_tokens.weight", "lm_head.weight"
Tensors = dict[str, Tensor]


def expert_of(folder: Path, change: Callable[[Tensors], Any] = lambda _: None, **config: Any) -> Path:
    """An expert of `base`, with its tensors and its config changed."""
    tensors = moved(random_tensors(0), 1 + sum(folder.name.encode()))
    change(tensors)
    write_model(folder, tensors)
    (folder / "config.json").write_text(json.dumps({**json.loads(CONFIG), **config}))
    return folder


def deeper(tensors: Tensors) -> None:
    tensors.update({name.replace("layers.0", "layers.1"): tensor.clone() for name, tensor in tensors.items()})


def resized(tensors: Tensors) -> None:
    tensors.update({name: torch.ones(26, 16) for name in (EMBEDDING, HEAD)})


def found(base: Path, *experts: Path) -> Findings:
    return examine(Checkpoint(base), [ExpertOutline(path.name, outline(path)) for path in experts])


def problems(base: Path, *experts: Path) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for problem in found(base, *experts).problems:
        texts.setdefault(problem.expert or "", []).append(problem.text)
    return texts


def adapter(folder: Path, module: str = Q.removesuffix(".weight"), **settings: Any) -> Path:
    folder.mkdir()
    factors = {"A": torch.ones(2, 16), "B": torch.ones(16, 2)}
    tensors = {f"base_model.model.{module}.lora_{side}.weight": factor for side, factor in factors.items()}
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": "someone/base", **settings}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder
