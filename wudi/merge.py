"""Merge experts into a base: tensor by tensor from memory-mapped files to a complete model folder."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from wudi.checkpoint import Checkpoint
from wudi.experts import Expert
from wudi.input_hashes import InputHashes
from wudi.inputs import Inputs
from wudi.job import DType, Job, Precision
from wudi.model_folder import copy_companions, model_card, versions, write_index
from wudi.placement import place
from wudi.preflight import check_disk, check_experts, equals_base
from wudi.progress import Say, Track, mute, silent
from wudi.recipe import Recipe
from wudi.shards import ShardRecord, finished, record_name, survey, write_shards
from wudi.tensor_merge import TensorMerge
from wudi.work_folder import WorkFolder
from wudi.workers import Workers


@dataclass(frozen=True)
class MergeReport:
    """What a merge gave: the folder, the content of its merge.json, and the seconds that all its runs took.

    Seconds, by tensor too, are in no file of the folder: two runs of a recipe write the same bytes.
    """

    out: Path
    record: dict[str, Any]
    seconds: float
    device: str
    tensor_seconds: dict[str, float]


def merge(
    base: Checkpoint,
    experts: Sequence[Expert],
    recipe: Recipe,
    out: Path,
    *,
    device: str = "auto",
    workers: int | None = None,
    dtype: DType = "auto",
    precision: Precision = "float32",
    measure: bool = False,
    overwrite: bool = False,
    track: Track = silent,
    say: Say = mute,
) -> MergeReport:
    """Write base + merged task vector to `out`, a complete model folder.

    Arithmetic is float32; the sum is rounded once, on writing, to `dtype` (`auto`: the base tensor's own). Shards are
    those of the base. A run that was interrupted leaves `out.partial`; the next one with the same recipe and inputs
    goes on at the first missing shard and ends in the same bytes. `device` may name several GPUs, and `workers` says
    how many tensors a CPU merges at once; neither number changes the bytes. `measure` adds each linear layer's
    interference to merge.json also for methods that have no need of it, at the cost of some products of out × in × in.
    `precision` is that of matrix products on a GPU.

    Raises:
        SettingError: The recipe does not fit the experts.
        WudiError: Experts that do not fit the base or equal it, a pattern that matches nothing, NaN or infinity in an
            input, an output that overflows its dtype, `out` that is an input or no merge, no room on the disk.
    """
    started = time.monotonic()
    recipe.check([expert.name for expert in experts])
    check_experts(base, experts)
    tensors = TensorMerge(Inputs(base, experts), recipe, measure)
    placement = place(device, workers, tensors)
    exact = placement.kind == "cpu"  # whose products are float32 whatever is asked for
    job = Job(tensors, placement, dtype, "float32" if exact else precision)
    job.inputs.refuse_differing_buffers()
    for line in tensors.selection.lines():
        say(line)
    inputs = [base.path, *(expert.checkpoint.path for expert in experts)]
    with (
        WorkFolder(out, job.plan(), inputs=inputs, overwrite=overwrite) as work,
        InputHashes(job.inputs.checkpoints) as hashes,
        products_in(precision),
    ):
        done = finished(job, work, hashes)
        started -= sum(record.seconds for record in done.values())
        write_missing(job, work, done, hashes, track)
        if not any(record.moved for record in done.values()):
            say(f"{recipe.method.name} adds nothing anywhere with these settings: the merged model is the base")
        return finish(job, work, {shard: done[shard] for shard in job.output_shards()}, hashes, started)


def write_missing(job: Job, work: WorkFolder, done: dict[str, ShardRecord], hashes: InputHashes, track: Track) -> None:
    """Write the shards that no earlier run has finished, and put what is known of them into `done`."""
    missing = {shard: names for shard, names in job.output_shards().items() if shard not in done}
    infos = job.infos()
    check_disk(work.out, sum(infos[name].bytes for names in missing.values() for name in names))
    if missing:
        with Workers[Any](job.placement.devices, job.placement.threads) as workers:
            known = survey(job, workers, track)
            done.update(write_shards(job, work, list(missing), hashes, known, workers, track))


def finish(
    job: Job, work: WorkFolder, shards: dict[str, ShardRecord], hashes: InputHashes, started: float
) -> MergeReport:
    """Add what makes the shards a model folder, and give the folder its name."""
    changed = {name for shard in shards.values() for name in shard.changed}
    unchanged = [expert for expert in job.inputs.experts if expert.name not in changed]
    if unchanged:
        raise equals_base(unchanged)
    read = hashes.finish()
    record = {
        "recipe": job.tensors.recipe.as_dict(),
        "base": read["base"],
        "experts": {name: read[f"experts/{name}"] for name in job.inputs.names},
        "device": job.placement.kind,
        "precision": job.precision,
        "layers": {name: layer for shard in shards.values() for name, layer in shard.layers.items()},
        "outputs": {shard: record.sha256 for shard, record in shards.items()},
        "versions": versions(),
    }
    if job.base.folder is not None:
        copy_companions(job.base.folder, work.path, None if job.dtype == "auto" else job.dtype)
        write_index(work, job.output_shards(), job.infos())
        work.write_text("README.md", model_card(job.tensors.recipe, job.inputs.names))
    work.write_json("merge.json", record)
    work.finish([record_name(shard) for shard in shards])
    layer_seconds = {name: seconds for shard in shards.values() for name, seconds in shard.tensors.items()}
    device = ",".join(dict.fromkeys(str(device) for device in job.placement.devices))
    return MergeReport(work.out, record, time.monotonic() - started, device, layer_seconds)


@contextmanager
def products_in(precision: Precision) -> Iterator[None]:
    """Let a GPU multiply float32 matrices exactly, or with the 10 bits of TF32's mantissa."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
