"""Weights that were quantised: numbers that only their own code can read, and that nothing can be added to."""

from typing import Any

from wudi.outline import Outline
from wudi.tensor_info import TensorInfo

REMEDY = "merge the weights before they are quantised: name the checkpoint that they were made from"


PACKED = (".weight", ".qweight", ".weight_packed")
"""How names of weights end that hold whole numbers once they are quantised."""


def quantised(outline: Outline) -> str | None:
    """Why a checkpoint's weights cannot be merged, with a tensor that shows it; None where they can.

    The tensors decide: a config may still name the quantisation that a model was trained in and saved without.
    """
    settings = quantisation(outline)
    name = next((name for name, info in outline.tensors.items() if is_quantised(name, info, settings)), None)
    if name is None:
        return None
    way = f" by {in_words(settings)}" if settings else ""
    return f"is quantised{way} (tensor {name} is {outline.tensors[name].dtype}); {REMEDY}"


def is_quantised(name: str, info: TensorInfo, settings: dict[str, Any]) -> bool:
    """Whether a tensor is what is left of a weight; buffers of whole numbers are none."""
    whole = not info.floating and info.mergeable
    return not info.mergeable or (whole and (name.endswith(PACKED) or (bool(settings) and len(info.shape) > 1)))


def quantisation(outline: Outline) -> dict[str, Any]:
    """What config.json says of a quantisation; empty where it says nothing."""
    text = outline.config.get("text_config")
    for config in (outline.config, text if isinstance(text, dict) else {}):
        for key in ("quantization_config", "compression_config"):
            if isinstance(config.get(key), dict):
                return dict(config[key])
    return {}


def in_words(settings: dict[str, Any]) -> str:
    """A quantisation's name and its bits, as far as the config says."""
    bits = settings.get("bits") or next((n for n in (4, 8) if settings.get(f"load_in_{n}bit")), None)
    name = str(settings.get("quant_method") or "a method of its own")
    return f"{name} to {bits} bits" if bits else name
