"""Merge experts into a base: tensor by tensor from memory-mapped files to a complete model folder."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from wudi.architecture import Role, roles
from wudi.checkpoint import SINGLE, Checkpoint, TensorInfo, file_sha256
from wudi.errors import WudiError
from wudi.experts import Expert, read_base
from wudi.methods import Layer
from wudi.methods.magnitude import model_thresholds
from wudi.methods.method import Update
from wudi.model_folder import copy_companions, model_card, versions, write_index
from wudi.preflight import check_disk, check_experts, equals_base
from wudi.progress import Track, silent
from wudi.recipe import Recipe
from wudi.safetensors_writer import write_safetensors
from wudi.work_folder import WorkFolder

DType = Literal["auto", "float32", "bfloat16", "float16"]
DTYPES: dict[str, tuple[str, torch.dtype]] = {
    "float32": ("F32", torch.float32),
    "bfloat16": ("BF16", torch.bfloat16),
    "float16": ("F16", torch.float16),
}
TORCH_DTYPES = {"F64": torch.float64, **dict(DTYPES.values())}


@dataclass(frozen=True)
class MergeReport:
    """What a merge gave: the folder, the content of its merge.json, and the seconds that all its runs took."""

    out: Path
    record: dict[str, Any]
    seconds: float
    device: str


def merge(
    base: Checkpoint,
    experts: Sequence[Expert],
    recipe: Recipe,
    out: Path,
    *,
    device: str = "auto",
    dtype: DType = "auto",
    overwrite: bool = False,
    track: Track = silent,
) -> MergeReport:
    """Write base + merged task vector to `out`, a complete model folder.

    Arithmetic is float32; the sum is rounded once, on writing, to `dtype` (`auto`: the base tensor's own). Shards are
    those of the base. A run that was interrupted leaves `out.partial`; the next one with the same recipe and inputs
    goes on at the first missing shard and ends in the same bytes.

    Raises:
        WudiError: Experts that do not fit the base or equal it, NaN or infinity in an input, an output that overflows
            its dtype, `out` that is an input or no merge, no room on the disk.
    """
    started = time.monotonic()
    check_experts(base, experts)
    job = Job(base, experts, recipe, choose_device(device), dtype, roles(base))
    inputs = [base.path, *(expert.checkpoint.path for expert in experts)]
    with WorkFolder(out, job.plan(), inputs=inputs, overwrite=overwrite) as work:
        done = {shard: work.read_json(measured_name(shard)) for shard in job.output_shards()}
        started -= sum(measured["seconds"] for measured in done.values() if measured)
        job.write_missing(work, done, track)
        return finish(job, work, done, started)


@dataclass(frozen=True)
class Job:
    """One merge: its inputs, its recipe, and how it is computed."""

    base: Checkpoint
    experts: Sequence[Expert]
    recipe: Recipe
    device: torch.device
    dtype: DType
    roles: dict[str, Role]

    def plan(self) -> dict[str, Any]:
        """What decides the output's bytes: an interrupted run is continued by one with the same plan alone."""
        return {**self.inputs(), "dtype": self.dtype, "device": self.device.type}

    def inputs(self) -> dict[str, Any]:
        """The recipe, and the hash of every file that is read."""
        return {
            "recipe": self.recipe.as_dict(),
            "base": self.base.sha256,
            "experts": {expert.name: expert.checkpoint.sha256 for expert in self.experts},
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

    def reaches(self, tensor: str) -> bool:
        """Whether the method itself merges this tensor, or `rest` decides what it gets."""
        if not self.base.tensors[tensor].floating:
            return False
        return self.roles[tensor].kind == "linear" or self.recipe.settings.rest == "method"

    def layer(self, tensor: str, thresholds: Sequence[float] | None = None) -> Layer:
        """The task vectors of a tensor, on the device, as (out, in) where it is a linear weight."""
        weight = read_base(self.base, tensor, self.device)
        deltas = [expert.delta(tensor, weight) for expert in self.experts]
        if self.roles[tensor].transposed:
            deltas = [delta.T.contiguous() for delta in deltas]
        names = [expert.name for expert in self.experts]
        return Layer(deltas=deltas, name=tensor, experts=names, thresholds=thresholds)

    def survey(self, track: Track) -> Sequence[float] | None:
        """The magnitude thresholds over the whole model, where the method takes them."""
        method, settings = self.recipe.method, self.recipe.settings
        density = method.survey(settings)
        if density is None:
            return None
        names = [name for name in self.base.tensors if self.reaches(name)]

        def walk() -> Iterable[Sequence[Tensor]]:
            return (method.surveyed(self.layer(name), settings) for name in track(names, "surveying"))

        return model_thresholds(walk, density)

    def update(self, layer: Layer) -> Update:
        """The merged task vector of one tensor, scaled."""
        settings = self.recipe.settings
        if self.reaches(layer.name):
            update = self.recipe.merge(layer)
            return replace(update, delta=update.delta * settings.scale)
        stacked = torch.stack(tuple(layer.deltas))
        match settings.rest:
            case "sum":
                return Update(stacked.sum(dim=0))
            case "base":
                return Update(torch.zeros_like(stacked[0]))
            case _:
                return Update(stacked.mean(dim=0))

    def merged(self, tensor: str, thresholds: Sequence[float] | None) -> tuple[Tensor, dict[str, float], list[str]]:
        """A tensor of the merged model, what the method measured, and the experts that change this tensor."""
        weight = self.base.read(tensor)
        if not self.base.tensors[tensor].floating:
            return weight, {}, []
        layer = self.layer(tensor, thresholds)
        changed = [layer.expert(index) for index, delta in enumerate(layer.deltas) if delta.any()]
        update = self.update(layer)
        delta = update.delta.T if self.roles[tensor].transposed else update.delta
        merged = weight.to(self.device).to(torch.float32) + delta.to(torch.float32)
        rounded = merged.to(TORCH_DTYPES[self.infos()[tensor].dtype])
        if not torch.isfinite(rounded).all():
            raise WudiError(
                f"tensor {tensor} overflows {rounded.dtype} when merged; take another dtype or a smaller scale"
            )
        return rounded, update.measured, changed

    def write_missing(self, work: WorkFolder, done: dict[str, Any], track: Track) -> None:
        """Write the shards that no earlier run has finished, and put what was measured on them into `done`."""
        missing = {shard: names for shard, names in self.output_shards().items() if done[shard] is None}
        infos = self.infos()
        check_disk(work.out, sum(infos[name].bytes for names in missing.values() for name in names))
        thresholds = self.survey(track) if missing else None
        pending = iter(track([name for names in missing.values() for name in names], "merging"))
        for shard in missing:
            done[shard] = self.write_shard(work, shard, pending, thresholds)
        next(pending, None)  # lets the bar come to its end

    def write_shard(
        self, work: WorkFolder, shard: str, pending: Iterator[str], thresholds: Sequence[float] | None
    ) -> dict[str, Any]:
        """Compute and write one output file, then what was measured on it: that record marks the shard as done."""
        started = time.monotonic()
        names, all_infos = self.output_shards()[shard], self.infos()
        layers: dict[str, dict[str, float]] = {}
        changed: set[str] = set()

        def tensors() -> Iterator[tuple[str, Tensor]]:
            for _ in names:
                name = next(pending)
                tensor, measured, experts = self.merged(name, thresholds)
                changed.update(experts)
                if measured:
                    layers[name] = measured
                yield name, tensor

        infos = {name: all_infos[name] for name in names}
        write_safetensors(work.path / shard, infos, tensors(), {"format": "pt"})
        record = {"layers": layers, "changed": sorted(changed), "seconds": time.monotonic() - started}
        work.write_json(measured_name(shard), record)
        return record


def finish(job: Job, work: WorkFolder, shards: dict[str, Any], started: float) -> MergeReport:
    """Add what makes the shards a model folder, and give the folder its name."""
    changed = {name for shard in shards.values() for name in shard["changed"]}
    unchanged = [expert for expert in job.experts if expert.name not in changed]
    if unchanged:
        raise equals_base(unchanged)
    record = {
        **job.inputs(),
        "device": job.device.type,
        "layers": {name: layer for shard in shards.values() for name, layer in shard["layers"].items()},
        "outputs": {shard: file_sha256(work.path / shard) for shard in shards},
        "versions": versions(),
    }
    if job.base.folder is not None:
        copy_companions(job.base.folder, work.path, None if job.dtype == "auto" else job.dtype)
        write_index(work, job.output_shards(), job.infos())
        work.write_text("README.md", model_card(job.recipe, [expert.name for expert in job.experts]))
    work.write_json("merge.json", record)
    work.finish([measured_name(shard) for shard in shards])
    return MergeReport(work.out, record, time.monotonic() - started, str(job.device))


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
        raise WudiError(f"device: got {device!r}; {str(error).splitlines()[0]}; takes auto, cpu or cuda") from None
    return chosen
