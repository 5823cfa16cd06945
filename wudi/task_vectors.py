"""Write an expert's task vector, expert − base, as safetensors with a summary."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wudi.alignment import Policy
from wudi.architecture import Role, roles
from wudi.checkpoint import Checkpoint
from wudi.experts import FACTORS, LEFT, RIGHT, TASK_VECTOR, Expert, read_base
from wudi.fit import NEW_ROWS
from wudi.fitting import BASE_TOKENS, fit, new_rows
from wudi.folder import SINGLE
from wudi.hashes import headers_sha256
from wudi.low_rank import LowRank, TaskVector, dense
from wudi.new_tokens import FILE, new_tokens_text
from wudi.norms import frobenius, stable_rank
from wudi.preflight import check_disk, check_experts, equals_base
from wudi.progress import Say, Track, mute, silent
from wudi.provenance import copy_provenance
from wudi.safetensors_writer import write_safetensors
from wudi.tensor_info import TensorInfo
from wudi.work_folder import WorkFolder

SUMMARY = "summary.json"
METADATA = {"format": "pt", "content": TASK_VECTOR}


def write_task_vector(
    base: Checkpoint,
    expert: Expert,
    out: Path,
    *,
    vocabulary: Policy = "error",
    overwrite: bool = False,
    track: Track = silent,
    say: Say = mute,
) -> dict[str, Any]:
    """Write the differences in float32 and return the summary that lies beside them.

    They come in the base's shards, one tensor for each of the base. A LoRA adapter's come in one file: `X.left` and
    `X.right` for a weight X that it has factors of, `X` for one that it replaces, nothing for one that it leaves alone.
    Where the expert has tokens that the base has not, and `vocabulary` is no error, embeddings and heads are aligned by
    token, and `X.new_rows` has the weights, not differences, of the tokens that vocabulary.json names in their order.

    The summary holds Frobenius norms, of each tensor's task vector and base weight and over the whole model, their
    ratios, and each matrix's stable rank.

    Raises:
        WudiError: The expert does not fit the base, equals it, or holds NaN or infinity; no room on the disk.
    """
    check_experts(base, [expert], vocabulary)
    fitted = fit(base, [expert], "error" if vocabulary == "error" else "base")
    for line in fitted.lines:
        if line != BASE_TOKENS:  # which is told when it is merged
            say(line)
    (aligned,) = fitted.experts
    new = new_rows(base, aligned)
    plan = {"base": headers_sha256(base), "expert": headers_sha256(expert.checkpoint)}
    write = write_factors if expert.is_factored else write_differences
    with WorkFolder(out, plan, inputs=[base.path, expert.checkpoint.path], overwrite=overwrite) as work:
        tensors = write(Subtraction(base, aligned, roles(base), new.rows), work, track)
        summary = summarise(expert.name, tensors)
        if summary["norm"] == 0.0:
            raise equals_base([expert])
        work.write_json(SUMMARY, summary)
        copy_provenance(expert.checkpoint.folder, work)
        if new.tokens:
            work.write_text(FILE, new_tokens_text(new.tokens))
        work.finish([])
    return summary


@dataclass(frozen=True)
class Subtraction:
    """An expert and the base that it is measured against."""

    base: Checkpoint
    expert: Expert
    roles: Mapping[str, Role]
    new_rows: Mapping[str, Tensor]
    """By tensor of the vocabulary, the rows of the tokens that the base has not."""

    @property
    def infos(self) -> dict[str, TensorInfo]:
        """What a dense task vector of each floating tensor takes."""
        return {name: replace(info, dtype="F32") for name, info in self.base.tensors.items() if info.floating}

    def difference(self, name: str) -> tuple[Tensor, TaskVector]:
        """A weight of the base and the expert's task vector of it."""
        weight = read_base(self.base, name, torch.device("cpu"))
        return weight, self.expert.delta(name, weight, transposed=self.roles[name].transposed)

    def measured(self, name: str, weight: Tensor, delta: TaskVector) -> dict[str, Any]:
        """What the summary says of one task vector."""
        norm, base_norm = frobenius(delta), frobenius(weight)
        measured: dict[str, Any] = {"kind": self.roles[name].kind, "norm": norm, "base_norm": base_norm}
        measured["relative_norm"] = norm / base_norm if base_norm else 0.0
        if weight.ndim == 2:
            measured["stable_rank"] = stable_rank(delta)
        return measured


def write_differences(job: Subtraction, work: WorkFolder, track: Track) -> dict[str, dict[str, Any]]:
    """Write every floating tensor, shard by shard, and return what was measured on each."""
    infos = job.infos
    check_disk(work.out, sum(info.bytes for info in infos.values()))
    tensors: dict[str, dict[str, Any]] = {}
    pending = iter(track(list(infos), f"task vector of {job.expert.name}"))

    def differences(shard: dict[str, TensorInfo], added: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        for name in shard:
            next(pending)
            weight, delta = job.difference(name)
            tensors[name] = job.measured(name, weight, delta)
            yield name, dense(delta)
        yield from added.items()

    for file, names in job.base.shards.items():
        shard = {name: infos[name] for name in names if name in infos}
        added = {name + NEW_ROWS: job.new_rows[name] for name in names if name in job.new_rows}
        longer = {name: TensorInfo("F32", tuple(rows.shape)) for name, rows in added.items()}
        write_safetensors(work.path / file, shard | longer, differences(shard, added), METADATA)
    next(pending, None)
    return tensors


def write_factors(job: Subtraction, work: WorkFolder, track: Track) -> dict[str, dict[str, Any]]:
    """Write factors where there are any and whole differences elsewhere, and return what was measured on each tensor.

    Sizes stand in the header before the first tensor, and only the values tell which tensors are unchanged: what is
    written is computed twice.
    """
    tensors: dict[str, dict[str, Any]] = {}
    changed: dict[str, dict[str, TensorInfo]] = {}
    for name in track(list(job.infos), f"task vector of {job.expert.name}"):
        weight, delta = job.difference(name)
        tensors[name] = job.measured(name, weight, delta)
        shapes = {part: tuple(tensor.shape) for part, tensor in parts(name, delta).items()}
        changed[name] = {part: TensorInfo("F32", shape) for part, shape in shapes.items()}
    infos = {part: info for own in changed.values() for part, info in own.items()}
    check_disk(work.out, sum(info.bytes for info in infos.values()))
    touched = [name for name, own in changed.items() if own]
    written = (part for name in touched for part in parts(name, job.difference(name)[1]).items())
    write_safetensors(work.path / SINGLE, infos, written, {**METADATA, "form": FACTORS})
    return tensors


def parts(name: str, delta: TaskVector) -> dict[str, Tensor]:
    """The tensors that a factored file keeps of one task vector: none of one that changes nothing."""
    if isinstance(delta, LowRank):
        return {name + LEFT: delta.left, name + RIGHT: delta.right} if delta.rank else {}
    return {name: delta} if delta.any() else {}


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
