"""Merge experts into a base: tensor by tensor from memory-mapped files to a complete model folder."""

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wudi.alignment import Policy
from wudi.card import CARD, model_card
from wudi.checkpoint import Checkpoint
from wudi.experts import Expert
from wudi.fitting import Fitted, fit
from wudi.input_hashes import Hashes
from wudi.inputs import Inputs
from wudi.job import DType, Job, Precision
from wudi.model_folder import copy_companions, resize, versions, write_index
from wudi.preflight import check_disk, check_experts, equals_base
from wudi.progress import Say, Track, mute, silent
from wudi.provenance import provenance
from wudi.recipe import Recipe
from wudi.shards import ShardRecord, finished, record_name
from wudi.site import Site, site
from wudi.tensor_merge import TensorMerge
from wudi.tokenizer_union import write_union_tokenizer
from wudi.work_folder import WorkFolder


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
    scheduler: str | None = None,
    dtype: DType = "auto",
    precision: Precision = "float32",
    vocabulary: Policy = "error",
    measure: bool = False,
    overwrite: bool = False,
    track: Track = silent,
    say: Say = mute,
) -> MergeReport:
    """Write base + merged task vector to `out`, a complete model folder.

    Arithmetic is float32; the sum is rounded once, on writing, to `dtype` (`auto`: the base tensor's own). Shards are
    those of the base. A run that was interrupted leaves `out.partial`; the next one with the same recipe and inputs
    goes on at the first missing shard and ends in the same bytes. `device` may name several GPUs, and `workers` says
    how many tensors a CPU merges at once; neither number changes the bytes, nor does `scheduler`, the address of a
    Dask scheduler whose workers, which see the same files, take a shard each. `measure` adds each linear layer's
    interference to merge.json also for methods that have no need of it, at the cost of some products of out × in × in.
    `precision` is that of matrix products on a GPU. `vocabulary` says what becomes of experts whose tokens are not the
    base's: an error, the base's tokens alone, or those of all; embeddings and heads are aligned by token.

    Raises:
        SettingError: The recipe does not fit the experts.
        WudiError: Experts that do not fit the base or equal it, a pattern that matches nothing, NaN or infinity in an
            input, an output that overflows its dtype, `out` that is an input or no merge, no room on the disk, or a
            cluster that cannot do it or has lost all its workers.
    """
    started = time.monotonic()
    recipe.check([expert.name for expert in experts])
    check_experts(base, experts, vocabulary)
    fitted = fit(base, experts, vocabulary)
    for line in fitted.lines:
        say(line)
    tensors = TensorMerge(Inputs(fitted.base, fitted.experts), recipe, measure)
    tensors.inputs.refuse_differing_buffers()
    for line in tensors.selection.lines():
        say(line)
    inputs = [base.path, *(expert.checkpoint.path for expert in experts)]
    with ExitStack() as stack:
        place = stack.enter_context(site(scheduler, device, workers))
        placement = place.place(tensors)
        exact = placement.kind == "cpu"  # whose products are float32 whatever is asked for
        job = Job(tensors, placement, dtype, "float32" if exact else precision, tuple(fitted.lines))
        work = stack.enter_context(WorkFolder(out, job.plan(), inputs=inputs, overwrite=overwrite))
        hashes = stack.enter_context(place.hashes(job.inputs.checkpoints, track))
        done = finished(job, work, hashes)
        started -= sum(record.seconds for record in done.values())
        write_missing(place, job, work, done, hashes, track)
        if not any(record.moved for record in done.values()):
            say(f"{recipe.method.name} adds nothing anywhere with these settings: the merged model is the base")
        return finish(job, fitted, work, {shard: done[shard] for shard in job.output_shards()}, hashes, started)


def write_missing(
    place: Site, job: Job, work: WorkFolder, done: dict[str, ShardRecord], hashes: Hashes, track: Track
) -> None:
    """Write the shards that no earlier run has finished, and put what is known of them into `done`."""
    missing = {shard: names for shard, names in job.output_shards().items() if shard not in done}
    infos = job.infos()
    check_disk(work.out, sum(infos[name].bytes for names in missing.values() for name in names))
    if missing:
        with closing(place.write(job, work.path, list(missing), hashes, track)) as written:
            for shard, record in written:
                work.write_json(record_name(shard), vars(record))  # marks the shard as done
                done[shard] = record


def finish(
    job: Job, fitted: Fitted, work: WorkFolder, shards: dict[str, ShardRecord], hashes: Hashes, started: float
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
        "sources": {
            name: str(source)
            for name, files in job.inputs.checkpoints.items()
            if (source := provenance(files.folder)) is not None
        },
        "vocabulary": fitted.lines,
        "versions": versions(),
    }
    if job.base.folder is not None:
        copy_companions(job.base.folder, work.path, None if job.dtype == "auto" else job.dtype)
        if fitted.union is not None:
            write_union_tokenizer(job.base.folder, fitted.vocabularies, fitted.union, work.path)
            resize(work, fitted.union.rows)
        write_index(work, job.output_shards(), job.infos())
        work.write_text(CARD, model_card(job, union=fitted.union is not None))
    scaffolding = [record_name(shard) for shard in shards]
    record["files"] = work.hashes(leaving_out=[*shards, *scaffolding])
    work.write_json("merge.json", record)
    work.finish(scaffolding)
    layer_seconds = {name: seconds for shard in shards.values() for name, seconds in shard.tensors.items()}
    device = ",".join(dict.fromkeys(str(device) for device in job.placement.devices))
    return MergeReport(work.out, record, time.monotonic() - started, device, layer_seconds)
