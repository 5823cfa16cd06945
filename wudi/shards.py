"""Compute and write the output files: tensors side by side, files one after the other."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from wudi.hashes import file_sha256
from wudi.input_hashes import Hashes, Marks, ReadHashes
from wudi.job import Job, torch_dtype
from wudi.methods.method import Layer, itself
from wudi.progress import Track
from wudi.safetensors_writer import SafetensorsWriter
from wudi.tensor_merge import Merged, Piece
from wudi.work_folder import WorkFolder
from wudi.workers import Workers

METADATA = {"format": "pt"}


@dataclass
class ShardRecord:
    """What is known of a finished output file; that it lies beside the file marks it as done."""

    sha256: str = ""
    inputs: Marks = field(default_factory=dict)
    """How far each input was read by then, and its hash up to there."""
    layers: dict[str, dict[str, float]] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    """The experts that change a tensor."""
    moved: list[str] = field(default_factory=list)
    """The tensors that differ from the base's."""
    tensors: dict[str, float] = field(default_factory=dict)
    """Seconds."""
    seconds: float = 0.0

    def add(self, name: str, merged: Merged, seconds: float) -> None:
        """Note what came of a piece of a tensor."""
        if merged.measured:
            self.layers[name] = merged.measured
        if merged.moved and name not in self.moved:
            self.moved.append(name)
        self.changed = sorted({*self.changed, *merged.changed})
        self.tensors[name] = self.tensors.get(name, 0.0) + seconds


def finished(job: Job, work: WorkFolder, hashes: Hashes) -> dict[str, ShardRecord]:
    """The shards that an earlier run has written: whole as it left them, and made of the inputs that there are now."""
    records = {}
    for shard in job.output_shards():
        content = work.read_json(record_name(shard))
        if content is not None and (work.path / shard).is_file():
            record = ShardRecord(**content)
            if file_sha256(work.path / shard) == record.sha256:
                records[shard] = record
    agree = hashes.agree([record.inputs for record in records.values()])
    return {shard: record for (shard, record), agrees in zip(records.items(), agree, strict=True) if agrees}


def write_shards(
    job: Job,
    place: Callable[[str], Path],
    shards: Sequence[str],
    hashes: ReadHashes,
    survey: Any,
    workers: Workers[Any],
    track: Track,
) -> Iterator[tuple[str, ShardRecord]]:
    """Write output files in their order, each to its `place`, and yield what is known of each when it is done.

    The workers compute the next tensors, and of the next file, while this thread writes those that are finished.
    """
    names = {shard: job.output_shards()[shard] for shard in shards}
    infos = job.infos()

    def pieces() -> Iterator[Piece]:
        for file, own in names.items():
            for name in own:
                source = job.inputs.copies.get(name, name)
                hashes.cover(file, [*job.inputs.touched(source), ("base", name)])
                yield from job.tensors.pieces(name)

    def merged(piece: Piece, device: torch.device) -> tuple[Merged, float]:
        begun = time.monotonic()
        return job.tensors.merged(piece, survey, torch_dtype(infos[piece.tensor]), device), time.monotonic() - begun

    results = workers.map(merged, pieces())
    pending = iter(track([name for shard in shards for name in names[shard]], "merging"))
    for shard in shards:
        started, record = time.monotonic(), ShardRecord()
        with SafetensorsWriter(place(shard), {name: infos[name] for name in names[shard]}, METADATA) as writer:
            for name in names[shard]:
                next(pending)
                for _ in job.tensors.pieces(name):
                    result, seconds = next(results)
                    writer.write(result.entries)
                    record.add(name, result, seconds)
                job.inputs.let_go(job.inputs.copies.get(name, name))
        record.sha256, record.inputs, record.seconds = writer.sha256, hashes.marks(shard), time.monotonic() - started
        yield shard, record
    next(pending, None)  # lets the bar come to its end


def survey(job: Job, hashes: ReadHashes, workers: Workers[Any], track: Track) -> Any:
    """What the method wants to know of the whole model first; None where it wants nothing.

    The inputs are hashed on the way: then each shard is made of all of them.
    """
    method, settings = job.tensors.recipe.method, job.tensors.recipe.settings
    if method.survey is None or method.survey_of(settings) != "model":
        return None
    names = [name for name in job.base.tensors if name in job.tensors.selection.tensors]
    pieces = [piece for name in names for piece in job.tensors.pieces(name)]

    def walk(work: Callable[[Layer], Any] = itself, *, sampled: bool = False) -> Iterator[Any]:
        def look(piece: Piece, device: torch.device) -> list[Any]:
            return list(job.tensors.looked_at(piece, work, device, sampled=sampled))

        def asked() -> Iterator[Piece]:
            for piece in pieces:
                if not sampled:
                    hashes.cover("survey", job.inputs.touched(piece.tensor))
                yield piece

        told = track(pieces, "sampling" if sampled else "surveying")
        for piece, found in zip(told, workers.map(look, asked()), strict=True):
            yield from found
            if piece.last_one:
                job.inputs.let_go(piece.tensor)

    found = method.survey(walk, settings)
    hashes.finish()
    return found


def record_name(shard: str) -> str:
    """The file beside a finished shard, while the merge is under way."""
    return f"{shard}.json"
