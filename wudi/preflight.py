"""What can be checked before a weight is read: that experts fit the base, and that the disk has room."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from wudi.architecture import roles
from wudi.checkpoint import BYTES, Checkpoint, TensorInfo
from wudi.errors import WudiError
from wudi.experts import LEFT, RIGHT, TASK_VECTOR, Expert

SHOWN = 3
"""Clashes of one expert that are spelled out; further ones are counted."""


def check_experts(base: Checkpoint, experts: Sequence[Expert]) -> None:
    """Compare every expert's headers with the base's.

    Raises:
        WudiError: Some expert has another architecture, or misses tensors, has more, or has other shapes: all
            clashes of all experts, each with both values.
    """
    if not experts:
        raise WudiError("no experts given; a merge takes at least one")
    check_base(base)
    same = [expert for expert in experts if list(expert.checkpoint.sha256.values()) == list(base.sha256.values())]
    if same:
        raise equals_base(same)
    contents = [tuple(expert.checkpoint.sha256.values()) for expert in experts]
    twins = [expert.name for expert, content in zip(experts, contents, strict=True) if contents.count(content) > 1]
    if twins:
        raise WudiError(f"experts {', '.join(twins)}: some have the same files; name each checkpoint once")
    problems = [f"expert {expert.name}: {clash}" for expert in experts for clash in clashes(base, expert)]
    if problems:
        raise WudiError("\n".join([*problems, "experts must be fine-tuned from the base that they are merged into"]))


def check_base(base: Checkpoint) -> None:
    """Raise a `WudiError` where the base holds something else than weights that can be added to."""
    if base.is_adapter:
        raise WudiError(f"base ({base.path}): is a PEFT adapter; name the model that it was trained on")
    if base.metadata.get("content") == TASK_VECTOR:
        raise WudiError(f"base ({base.path}): is a task vector; name the base model first, then the experts")
    for name, info in base.tensors.items():
        quantised = not info.floating and name.endswith(".weight")
        if quantised or info.dtype not in BYTES:
            raise WudiError(
                f"base ({base.path}): tensor {name} is {info.dtype}; merge the weights before they are quantised"
            )


def equals_base(experts: Sequence[Expert]) -> WudiError:
    """The error for experts that change no weight."""
    return WudiError(
        "\n".join(
            f"expert {expert.name} ({expert.checkpoint.path}): every weight equals the base's; "
            "name a checkpoint that was fine-tuned from the base"
            for expert in experts
        )
    )


def clashes(base: Checkpoint, expert: Expert) -> list[str]:
    """What keeps one expert from being merged into the base."""
    ours, theirs = base.config.get("model_type"), expert.checkpoint.config.get("model_type")
    if ours and theirs and ours != theirs:
        return [f"its architecture is {theirs}, the base's is {ours}"]
    if expert.adapter is not None:
        transposed = {name: role.transposed for name, role in roles(base).items()}
        return shown(list(expert.adapter.clashes(base, transposed)))
    own = with_products(expert.checkpoint.tensors) if expert.is_factored else expert.checkpoint.tensors
    needed = [name for name, info in base.tensors.items() if info.floating or not expert.is_task_vector]
    missing = [f"misses tensor {name}" for name in needed if name not in own and not expert.is_factored]
    extra = [f"has tensor {name}, which the base has not" for name in own if name not in base.tensors]
    shapes = [
        f"tensor {name} has shape {list(own[name].shape)}, the base's has {list(info.shape)}"
        for name, info in base.tensors.items()
        if name in own and own[name].shape != info.shape
    ]
    dtypes = [
        f"tensor {name} is {own[name].dtype}, the base's is {info.dtype}"
        for name, info in base.tensors.items()
        if name in own and own[name].floating != info.floating
    ]
    return shown([*shapes, *dtypes, *missing, *extra])


def with_products(infos: dict[str, TensorInfo]) -> dict[str, TensorInfo]:
    """The tensors of a factored task vector, each pair of factors replaced by their product."""
    whole = dict(infos)
    for name, left in infos.items():
        right = infos.get(name.removesuffix(LEFT) + RIGHT)
        if name.endswith(LEFT) and right is not None and left.shape[1:] == right.shape[:1]:
            del whole[name], whole[name.removesuffix(LEFT) + RIGHT]
            whole[name.removesuffix(LEFT)] = TensorInfo(left.dtype, (left.shape[0], *right.shape[1:]))
    return whole


def shown(found: list[str]) -> list[str]:
    """The first clashes, and how many more there are."""
    more = [f"and {len(found) - SHOWN} more of the kind"] if len(found) > SHOWN else []
    return found[:SHOWN] + more


def check_disk(folder: Path, needed: int) -> None:
    """Raise a `WudiError` unless the disk of `folder`, or of its nearest parent that exists, has `needed` bytes."""
    existing = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise WudiError(
            f"{folder}: needs {needed / 1e9:.2f} GB, but the disk has {free / 1e9:.2f} GB free; "
            "free some space or write elsewhere"
        )
