"""Merge experts into a base: tensor by tensor from memory-mapped files to a complete model folder."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from wudi.checkpoint import SINGLE, Checkpoint, TensorInfo, file_sha256
from wudi.errors import WudiError
from wudi.experts import Expert
from wudi.model_folder import copy_companions, model_card, versions, write_index
from wudi.preflight import check_disk, check_experts, equals_base
from wudi.progress import Say, Track, mute, silent
from wudi.recipe import Recipe
from wudi.safetensors_writer import write_safetensors
from wudi.tensor_merge import TensorMerge
from wudi.work_folder import WorkFolder

DType = Literal["auto", "float32", "bfloat16", "float16"]
Precision = Literal["float32", "tf32"]
DTYPES: dict[str, tuple[str, torch.dtype]] = {
    "float32": ("F32", torch.float32),
    "bfloat16": ("BF16", torch.bfloat16),
    "float16": ("F16", torch.float16),
}
TORCH_DTYPES = {"F64": torch.float64, **dict(DTYPES.values())}


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
    goes on at the first missing shard and ends in the same bytes. `measure` adds each linear layer's interference to
    merge.json also for methods that have no need of it, at the cost of some products of out × in × in. `precision` is
    that of matrix products on a GPU.

    Raises:
        SettingError: The recipe does not fit the experts.
        WudiError: Experts that do not fit the base or equal it, a pattern that matches nothing, NaN or infinity in an
            input, an output that overflows its dtype, `out` that is an input or no merge, no room on the disk.
    """
    started = time.monotonic()
    recipe.check([expert.name for expert in experts])
    check_experts(base, experts)
    chosen = choose_device(device)
    exact = chosen.type == "cpu"  # whose products are float32 whatever is asked for
    job = Job(TensorMerge(base, experts, recipe, chosen, measure), dtype, "float32" if exact else precision)
    for line in job.tensors.selection.lines():
        say(line)
    inputs = [base.path, *(expert.checkpoint.path for expert in experts)]
    with WorkFolder(out, job.plan(), inputs=inputs, overwrite=overwrite) as work:
        done = {shard: work.read_json(measured_name(shard)) for shard in job.output_shards()}
        started -= sum(measured["seconds"] for measured in done.values() if measured)
        with products_in(precision):
            job.write_missing(work, done, track)
        if not any(shard["moved"] for shard in done.values() if shard):
            say(f"{recipe.method.name} adds nothing anywhere with these settings: the merged model is the base")
        return finish(job, work, done, started)


@dataclass(frozen=True)
class Job:
    """One merge: what it computes, and what it writes."""

    tensors: TensorMerge
    dtype: DType
    precision: Precision

    @property
    def base(self) -> Checkpoint:
        """The model that is merged into."""
        return self.tensors.base

    def plan(self) -> dict[str, Any]:
        """What decides the output's bytes: an interrupted run is continued by one with the same plan alone."""
        device = {"device": device_name(self.tensors.device), "precision": self.precision}
        return {**self.inputs(), "dtype": self.dtype, **device, "measures": self.tensors.measures}

    def inputs(self) -> dict[str, Any]:
        """The recipe, and the hash of every file that is read."""
        return {
            "recipe": self.tensors.recipe.as_dict(),
            "base": self.base.sha256,
            "experts": {expert.name: expert.checkpoint.sha256 for expert in self.tensors.experts},
        }

    def output_shards(self) -> dict[str, tuple[str, ...]]:
        """The tensors of each output file: the base's own, and one `model.safetensors` for a bare file."""
        if self.base.folder is None:
            return {SINGLE: tuple(self.base.tensors)}
        return self.base.shards

    def infos(self) -> dict[str, TensorInfo]:
        """The dtype and shape of every output tensor."""
        infos = self.base.tensors
        if self.dtype == "auto":
            return infos
        name = DTYPES[self.dtype][0]
        return {tensor: replace(info, dtype=name) if info.floating else info for tensor, info in infos.items()}

    def write_missing(self, work: WorkFolder, done: dict[str, Any], track: Track) -> None:
        """Write the shards that no earlier run has finished, and put what was measured on them into `done`."""
        missing = {shard: names for shard, names in self.output_shards().items() if done[shard] is None}
        infos = self.infos()
        check_disk(work.out, sum(infos[name].bytes for names in missing.values() for name in names))
        survey = self.tensors.survey(track) if missing else None
        pending = iter(track([name for names in missing.values() for name in names], "merging"))
        for shard in missing:
            done[shard] = self.write_shard(work, shard, pending, survey)
        next(pending, None)  # lets the bar come to its end

    def write_shard(self, work: WorkFolder, shard: str, pending: Iterator[str], survey: Any) -> dict[str, Any]:
        """Compute and write one output file, then what was measured on it: that record marks the shard as done."""
        started = time.monotonic()
        names, all_infos = self.output_shards()[shard], self.infos()
        layers: dict[str, dict[str, float]] = {}
        seconds: dict[str, float] = {}
        changed: set[str] = set()
        moved: list[str] = []

        def tensors() -> Iterator[tuple[str, Tensor]]:
            for _ in names:
                name, begun = next(pending), time.monotonic()
                merged = self.tensors.merged(name, survey, torch_dtype(all_infos[name]))
                changed.update(merged.changed)
                if merged.measured:
                    layers[name] = merged.measured
                if merged.moved:
                    moved.append(name)
                seconds[name] = time.monotonic() - begun
                yield name, merged.tensor

        infos = {name: all_infos[name] for name in names}
        write_safetensors(work.path / shard, infos, tensors(), {"format": "pt"})
        record: dict[str, Any] = {"layers": layers, "changed": sorted(changed), "moved": moved, "tensors": seconds}
        record["seconds"] = time.monotonic() - started
        work.write_json(measured_name(shard), record)
        return record


def finish(job: Job, work: WorkFolder, shards: dict[str, Any], started: float) -> MergeReport:
    """Add what makes the shards a model folder, and give the folder its name."""
    changed = {name for shard in shards.values() for name in shard["changed"]}
    unchanged = [expert for expert in job.tensors.experts if expert.name not in changed]
    if unchanged:
        raise equals_base(unchanged)
    record = {
        **job.inputs(),
        "device": job.tensors.device.type,
        "precision": job.precision,
        "layers": {name: layer for shard in shards.values() for name, layer in shard["layers"].items()},
        "outputs": {shard: file_sha256(work.path / shard) for shard in shards},
        "versions": versions(),
    }
    if job.base.folder is not None:
        copy_companions(job.base.folder, work.path, None if job.dtype == "auto" else job.dtype)
        write_index(work, job.output_shards(), job.infos())
        work.write_text("README.md", model_card(job.tensors.recipe, [expert.name for expert in job.tensors.experts]))
    work.write_json("merge.json", record)
    work.finish([measured_name(shard) for shard in shards])
    layer_seconds = {name: seconds for shard in shards.values() for name, seconds in shard["tensors"].items()}
    return MergeReport(work.out, record, time.monotonic() - started, str(job.tensors.device), layer_seconds)


def device_name(device: torch.device) -> str:
    """The kind of CPU or GPU that computes, whose rounding another kind need not share."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def torch_dtype(info: TensorInfo) -> torch.dtype:
    """The torch dtype of a floating tensor; of others, which are copied, it does not matter."""
    return TORCH_DTYPES.get(info.dtype, torch.float32)


@contextmanager
def products_in(precision: Precision) -> Iterator[None]:
    """Let a GPU multiply float32 matrices exactly, or with the 10 bits of TF32's mantissa."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def measured_name(shard: str) -> str:
    """The file beside a finished shard that says what was measured on it, while the merge is under way."""
    return f"{shard}.json"


def choose_device(device: str) -> torch.device:
    """`auto` is the GPU where there is one.

    Raises:
        WudiError: No such device, or not on this machine.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen).item()  # fails on devices without memory too, such as `meta`
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].split(". ")[0][:100]
        raise WudiError(f"device: got {device!r}; takes auto, cpu, cuda or cuda:N ({reason})") from None
    return chosen
