"""What two configs say differently: what explains tensors that do not fit, and what is good to know."""

from collections.abc import Mapping
from typing import Any

from wudi.folder import read_json
from wudi.outline import Outline
from wudi.vocabulary_tensors import text_configs

WIDTHS = (
    ("hidden_size", "n_embd", "d_model"),
    ("intermediate_size", "n_inner", "ffn_dim", "d_ff"),
    ("num_attention_heads", "n_head", "num_heads"),
    ("num_key_value_heads",),
    ("head_dim", "d_kv"),
    ("num_experts", "num_local_experts", "n_routed_experts"),
    ("moe_intermediate_size",),
)
"""What decides the shapes inside a block; the same thing has several names."""
BEHAVIOUR = (
    ("rope_theta",),
    ("rope_scaling",),
    ("max_position_embeddings", "n_positions"),
    ("tie_word_embeddings",),
    ("sliding_window",),
    ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon"),
    ("hidden_act", "activation_function"),
    ("eos_token_id",),
    ("bos_token_id",),
    ("pad_token_id",),
)
"""What changes how the same weights act, and stops no merge."""
ABSENT_IS_NULL = ("rope_scaling", "sliding_window")
TEMPLATES = ("chat_template.jinja", "chat_template.json")
LOOKED_INTO = "tokenizer_config.json"


def differing(base: Outline, expert: Outline, names: tuple[tuple[str, ...], ...]) -> dict[str, tuple[Any, Any]]:
    """The settings that both configs have and that differ: the expert's value and the base's."""
    theirs, ours = settings(expert), settings(base)
    found = {}
    for synonyms in names:
        key = next((key for key in synonyms if key in ours or key in theirs), synonyms[0])
        known = (key in ours and key in theirs) or key in ABSENT_IS_NULL
        if known and theirs.get(key) != ours.get(key):
            found[key] = theirs.get(key), ours.get(key)
    return found


def settings(outline: Outline) -> dict[str, Any]:
    """A config's settings of its language model in one level; rotary ones under the names of transformers 4."""
    config: dict[str, Any] = dict(outline.config)
    for part in text_configs(outline.config):
        config |= part
    rotary = config.get("rope_parameters")
    if isinstance(rotary, Mapping):
        config.setdefault("rope_theta", rotary.get("rope_theta"))
        config["rope_scaling"] = {key: value for key, value in rotary.items() if key != "rope_theta"}
    scaling = config.get("rope_scaling")
    if isinstance(scaling, Mapping) and scaling.get("rope_type", scaling.get("type")) in (None, "default"):
        config["rope_scaling"] = None
    return {key: value for key, value in config.items() if value is not None}


def has_chat_template(outline: Outline) -> bool:
    """Whether a chat template lies in the folder, in a file of its own or in the tokenizer's settings.

    Raises:
        WudiError: These settings are damaged.
    """
    if any(name in outline.files.sizes for name in TEMPLATES):
        return True
    return LOOKED_INTO in outline.files.sizes and bool(read_json(outline.files, LOOKED_INTO).get("chat_template"))


def config_notes(base: Outline, expert: Outline) -> list[str]:
    """The differences that stop no merge: the merged model takes the base's config, tokenizer and template."""
    if not base.config or not expert.config:
        return []
    notes = [
        f"its {key} is {theirs}, the base's {ours}, which the merged model gets"
        for key, (theirs, ours) in differing(base, expert, BEHAVIOUR).items()
    ]
    theirs, ours = has_chat_template(expert), has_chat_template(base)
    if theirs and not ours:
        notes.append("it has a chat template and the base, whose files the merged model gets, has none")
    return notes
