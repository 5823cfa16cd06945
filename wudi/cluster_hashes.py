"""The SHA-256 of every input file, each read from its beginning to its end by some worker of a cluster."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from wudi.checkpoint import Checkpoint
from wudi.cluster_tasks import hashed
from wudi.crew import Crew
from wudi.input_hashes import Marks
from wudi.progress import Track


class ClusterHashes:
    """Hashes the files of named checkpoints when it is asked what agrees with them, which is once and first of all."""

    def __init__(self, crew: Crew, checkpoints: Mapping[str, Checkpoint], track: Track) -> None:
        self.crew = crew
        self.track = track
        self.checkpoints = checkpoints
        self.paths: dict[str, Path] = {
            f"{label}/{name}": path.absolute()
            for label, checkpoint in checkpoints.items()
            for name, path in checkpoint.paths.items()
        }
        self._whole: Marks = {}

    def cover(self, shard: str, tensors: Sequence[tuple[str, str]]) -> None:
        """All is hashed already."""

    def marks(self, shard: str) -> Marks:  # noqa: ARG002
        """The size and the hash of every file: which of them a worker has read is not asked."""
        return self._whole

    def agree(self, recorded: Sequence[Marks]) -> list[bool]:
        """For the marks of each finished shard, whether this run's inputs are what it was made of."""
        sizes = {key: path.stat().st_size for key, path in self.paths.items()}
        positions = {key: {size} for key, size in sizes.items()}
        for key, (position, _) in (mark for marks in recorded for mark in marks.items()):
            if position <= sizes.get(key, -1):
                positions[key].add(position)
        found = self._hash({key: (self.paths[key], sorted(wanted)) for key, wanted in positions.items()})
        self._whole = {key: (size, found[key][size]) for key, size in sizes.items()}
        return [
            all(found.get(key, {}).get(position) == digest for key, (position, digest) in marks.items())
            for marks in recorded
        ]

    def _hash(self, questions: Mapping[str, tuple[Path, Sequence[int]]]) -> dict[str, dict[int, str]]:
        """The hashes up to the positions that are asked for in each file."""
        told = self.track(list(questions), "hashing")
        answers = self.crew.map(hashed, questions, each_core=True)
        return {key: found for _, (key, found) in zip(told, answers, strict=True)}

    def finish(self) -> dict[str, dict[str, str]]:
        """The SHA-256 of every whole file, by checkpoint and file name."""
        return {
            label: {name: self._whole[f"{label}/{name}"][1] for name in checkpoint.paths}
            for label, checkpoint in self.checkpoints.items()
        }
