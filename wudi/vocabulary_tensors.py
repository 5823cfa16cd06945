"""Which tensors have a row for each token, and what the config says of their number."""

import copy
import re
from collections.abc import Mapping
from typing import Any

from wudi.role import Role
from wudi.roles_by_name import in_block
from wudi.tensor_info import TensorInfo

TEXT_CONFIGS = ("text_config", "language_config", "llm_config")
"""Where the config of a model for more than text keeps that of its language model."""
INPUT = re.compile(r"(^|\.)(embed_tokens|wte|word_embeddings|embed_in|tok_embeddings|shared|embeddings)\.weight$")
NOT_OF_TOKENS = re.compile(
    r"wpe|position|(^|[._])pos_|token_type|segment|relative|(^|\.)(vision|visual|audio)(_tower|_model|_encoder)?\."
)


def vocabulary_tensors(
    tensors: Mapping[str, TensorInfo], roles: Mapping[str, Role], config: Mapping[str, Any]
) -> tuple[str, ...]:
    """The names of the input embedding, the output head and its bias, as far as they are there.

    They are the tables outside the positions' that have as many rows as the config's vocabulary has tokens or, where
    no table has, as the input embedding by its usual names.
    """
    tables = {
        name: info.shape[0]
        for name, info in tensors.items()
        if roles[name].kind == "embedding" and len(info.shape) == 2 and not NOT_OF_TOKENS.search(name)
    }
    sizes = vocab_sizes(config) & set(tables.values())
    sizes = sizes or {rows for name, rows in tables.items() if INPUT.search(name)}
    chosen = {name for name, rows in tables.items() if rows in sizes}
    biases = {
        name
        for name, info in tensors.items()
        if name.endswith(".bias") and len(info.shape) == 1 and info.shape[0] in sizes and not in_block(name)
    }
    return tuple(sorted(chosen | {name for name in biases if is_of_head(name, tensors, chosen)}))


def is_of_head(bias: str, tensors: Mapping[str, TensorInfo], chosen: set[str]) -> bool:
    """Whether a bias is that of an output head, whose weight may be a tied one that is not stored."""
    weight = bias.removesuffix("bias") + "weight"
    return weight in chosen or weight not in tensors


def vocab_sizes(config: Mapping[str, Any]) -> set[int]:
    """The sizes that config.json gives for the vocabulary."""
    sizes = [part.get("vocab_size") for part in [config, *text_configs(config)]]
    return {size for size in sizes if isinstance(size, int)}


def with_vocab_size(config: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """The content of config.json for a model with so many rows of embeddings: `vocab_size` wherever it stands."""
    changed = copy.deepcopy(dict(config))
    parts = [changed, *text_configs(changed)]
    stated = [part for part in parts if "vocab_size" in part]
    for part in stated or parts[-1:]:
        part["vocab_size"] = rows
    return changed


def text_configs(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts of a config that are a language model's own."""
    return [config[key] for key in TEXT_CONFIGS if isinstance(config.get(key), dict)]
