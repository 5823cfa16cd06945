"""Where a merge computes: on this machine, or on all those of a cluster."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import torch

from wudi.checkpoint import Checkpoint
from wudi.input_hashes import Hashes, InputHashes
from wudi.job import Job, Precision
from wudi.placement import Placement, place
from wudi.progress import Track
from wudi.shards import ShardRecord, survey, write_shards
from wudi.tensor_merge import TensorMerge
from wudi.workers import Workers


class Site(Protocol):
    """What does the work of a merge; which one does it changes no byte of the result."""

    def place(self, merge: TensorMerge) -> Placement:
        """The devices that compute, and what of them decides rounding."""

    def hashes(self, checkpoints: Mapping[str, Checkpoint], track: Track) -> AbstractContextManager[Hashes]:
        """The hashes of the input files."""

    def write(
        self, job: Job, folder: Path, shards: Sequence[str], hashes: Hashes, track: Track
    ) -> Generator[tuple[str, ShardRecord]]:
        """Write output files to `folder`, and yield what is known of each when it is done."""


class Here:
    """The machine of this process."""

    def __init__(self, device: str, workers: int | None) -> None:
        self.device = device
        self.workers = workers

    def place(self, merge: TensorMerge) -> Placement:
        """As `wudi.placement.place`."""
        return place(self.device, self.workers, merge)

    def hashes(self, checkpoints: Mapping[str, Checkpoint], track: Track) -> AbstractContextManager[Hashes]:  # noqa: ARG002
        """Hashes of the bytes that are read anyway."""
        return InputHashes(checkpoints)

    def write(
        self, job: Job, folder: Path, shards: Sequence[str], hashes: Hashes, track: Track
    ) -> Generator[tuple[str, ShardRecord]]:
        """One file after the other."""
        with computing(job) as workers:
            known = survey(job, hashes, workers, track)
            yield from write_shards(job, folder.joinpath, shards, hashes, known, workers, track)


def site(scheduler: str | None, device: str, workers: int | None) -> AbstractContextManager[Site]:
    """The machine of this process, or the cluster of a Dask scheduler.

    Raises:
        WudiError: The scheduler does not answer, or has no workers that compute as this machine does.
    """
    if scheduler is None:
        return nullcontext(Here(device, workers))
    from wudi.cluster import connected

    return connected(scheduler, device, workers)


@contextmanager
def computing(job: Job) -> Iterator[Workers[Any]]:
    """The workers of a job's placement, for as long as it takes."""
    with products_in(job.precision), Workers[Any](job.placement.devices, job.placement.threads) as workers:
        yield workers


@contextmanager
def products_in(precision: Precision) -> Iterator[None]:
    """Let a GPU multiply float32 matrices exactly, or with the 10 bits of TF32's mantissa."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
