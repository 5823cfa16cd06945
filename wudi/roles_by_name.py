"""The roles that tensors' names suggest, where no class of the model is known."""

import re
from collections.abc import Mapping

from wudi.role import Role

Shapes = Mapping[str, tuple[int, ...]]

HEAD = re.compile(r"\w*heads?|cls|score|\w*classifier|\w*pooler|\w*projector|\w*projection|merger")
EMBEDDING = re.compile(r"(^|\.)(embed\w*|\w*emb(eds?|eddings?)?|wte|wpe|relative_attention_bias)\.weight$")
NORM = re.compile(r"norm\w*\.weight$|(^|\.)ln_\w+\.weight$", re.IGNORECASE)
WEIGHT = re.compile(r"(^|\.)(in_proj_)?weight$")
STACK = re.compile(r"experts\.(?!.*(bias|scale)).*|\.(input|output)_linear\.weight$")
CONV1D = re.compile(r"^((?:.*\.)?h\.\d+\.)(attn|crossattention|mlp)\.(c_attn|q_attn|c_proj|c_fc)\.weight$")
CONV1D_MODELS = {"gpt2", "openai-gpt", "imagegpt", "decision_transformer"}


def role_by_name(name: str, dimensions: int, model_type: str | None = None, shapes: Shapes | None = None) -> Role:
    """The role that a tensor's name suggests; its model's type and all tensors' shapes make the guess better."""
    if dimensions == 3 and in_block(name) and STACK.search(name):
        return Role("linear", transposed=bool(stack_is_transposed(name, shapes or {})))
    if dimensions != 2 or not WEIGHT.search(name) or NORM.search(name):
        return Role("rest")
    if EMBEDDING.search(name) or not in_block(name):
        return Role("embedding")
    return Role("linear", transposed=is_conv1d(name, model_type, shapes or {}))


def in_block(name: str) -> bool:
    """Whether a tensor lies in one of the numbered blocks, and not in a head or projector with numbered layers."""
    parts = name.split(".")
    number = next((index for index, part in enumerate(parts) if part.isdecimal()), 0)
    return number > 0 and not is_head(".".join(parts[:number]))


def is_head(path: str) -> bool:
    """Whether a list of modules belongs to a head or projector, by its own name or its parent's."""
    return any(HEAD.fullmatch(part) for part in path.split(".")[-2:])


def is_conv1d(name: str, model_type: str | None, shapes: Shapes) -> bool:
    """Whether this is a GPT-2 weight, stored as (in, out); others have (out, in) under the same names."""
    found = CONV1D.search(name)
    if found is None or model_type not in {None, *CONV1D_MODELS}:
        return False
    # Queries, keys and values are more outputs than inputs, so the attention's shape shows the block's layout.
    rows, columns = shapes.get(f"{found[1]}attn.c_attn.weight", (0, 0))
    if rows != columns:
        return rows < columns
    rows, columns = shapes.get(name, (0, 0))
    return rows == columns or shapes.get(name.removesuffix("weight") + "bias") != (rows,)


def stack_is_transposed(name: str, shapes: Shapes) -> bool | None:
    """Whether a stack of gate, up and down projections is stored as (expert, in, out); None where shapes do not tell.

    The fused projection up has twice as many outputs as the one down has inputs.
    """
    up = shapes.get(re.sub(r"\bdown_proj\b", "gate_up_proj", name).replace("output_linear", "input_linear"), ())
    down = shapes.get(re.sub(r"\bgate_up_proj\b", "down_proj", name).replace("input_linear", "output_linear"), ())
    if len(up) != 3 or len(down) != 3:
        return None
    if up[2] == down[1] and up[1] == 2 * down[2]:
        return False
    if up[1] == down[2] and up[2] == 2 * down[1]:
        return True
    return None
