"""Write an expert's task vector, expert − base, as safetensors with a summary."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wudi.architecture import roles
from wudi.checkpoint import Checkpoint, TensorInfo
from wudi.experts import TASK_VECTOR, Expert, read_base
from wudi.preflight import check_disk, check_experts, equals_base
from wudi.progress import Track, silent
from wudi.safetensors_writer import write_safetensors
from wudi.work_folder import WorkFolder

SUMMARY = "summary.json"


def write_task_vector(
    base: Checkpoint, expert: Expert, out: Path, *, overwrite: bool = False, track: Track = silent
) -> dict[str, Any]:
    """Write the differences in float32, in the base's shards, and return the summary that lies beside them.

    The summary holds Frobenius norms: of each tensor's task vector and base weight, and over the whole model.

    Raises:
        WudiError: The expert does not fit the base, equals it, or holds NaN or infinity; no room on the disk.
    """
    check_experts(base, [expert])
    infos = {name: replace(info, dtype="F32") for name, info in base.tensors.items() if info.floating}
    check_disk(out, sum(info.bytes for info in infos.values()))
    plan = {"base": base.sha256, "expert": expert.checkpoint.sha256}
    with WorkFolder(out, plan, inputs=[base.path, expert.checkpoint.path], overwrite=overwrite) as work:
        tensors = write_differences(base, expert, infos, work, track)
        summary = summarise(expert.name, tensors)
        if summary["norm"] == 0.0:
            raise equals_base([expert])
        work.write_json(SUMMARY, summary)
        work.finish([])
    return summary


def write_differences(
    base: Checkpoint, expert: Expert, infos: dict[str, TensorInfo], work: WorkFolder, track: Track
) -> dict[str, dict[str, Any]]:
    """Write every tensor of `infos`, shard by shard, and return its kind and its norms."""
    tensors: dict[str, dict[str, Any]] = {}
    kinds = roles(base)
    pending = iter(track(list(infos), f"task vector of {expert.name}"))

    def differences(shard: dict[str, TensorInfo]) -> Iterator[tuple[str, Tensor]]:
        for name in shard:
            next(pending)
            weight = read_base(base, name, torch.device("cpu"))
            delta = expert.delta(name, weight)
            tensors[name] = {"kind": kinds[name].kind, "norm": norm(delta), "base_norm": norm(weight)}
            yield name, delta

    for file, names in base.shards.items():
        shard = {name: infos[name] for name in names if name in infos}
        write_safetensors(work.path / file, shard, differences(shard), {"format": "pt", "content": TASK_VECTOR})
    next(pending, None)
    return tensors


def norm(tensor: Tensor) -> float:
    """The Frobenius norm, summed in float64."""
    return float(tensor.square().sum(dtype=torch.float64).sqrt())


def summarise(expert: str, tensors: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The norms over the whole model, above those of each tensor."""
    total = sum(entry["norm"] ** 2 for entry in tensors.values()) ** 0.5
    base = sum(entry["base_norm"] ** 2 for entry in tensors.values()) ** 0.5
    return {
        "expert": expert,
        "norm": total,
        "base_norm": base,
        "relative_norm": total / base if base else 0.0,
        "tensors": tensors,
    }
