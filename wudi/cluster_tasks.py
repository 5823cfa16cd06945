"""What the workers of a cluster do: tell what they are, hash an input file, survey the model, write an output file."""

import json
import os
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar
from uuid import uuid4

import torch

from wudi.errors import WudiError
from wudi.input_hashes import HashedFile, Marks
from wudi.job import Job
from wudi.model_folder import versions
from wudi.placement import choose_devices, model_of, spread
from wudi.progress import silent
from wudi.shards import ShardRecord, survey, write_shards
from wudi.site import computing
from wudi.work_folder import PLAN

Result = TypeVar("Result")
TURN = Lock()
"""Held by the one task of a process that computes: the number of torch's threads is the whole process's."""


@dataclass(frozen=True)
class Machine:
    """What a machine computes with."""

    devices: tuple[torch.device, ...]
    model: str
    """The kind of CPU or GPU."""
    rounding: dict[str, str]
    """What decides how it rounds, apart from the device."""


def machine(device: str) -> Machine:
    """What there is here, with the devices that a list with commas names.

    Raises:
        WudiError: As `choose_devices`.
    """
    devices = choose_devices(device)
    return Machine(devices, model_of(devices[0]), rounding(devices[0].type))


def rounding(kind: str) -> dict[str, str]:
    """The versions here and, for a CPU, the instructions for which torch has chosen its routines."""
    return versions() | ({"CPU instructions": torch.backends.cpu.get_cpu_capability()} if kind == "cpu" else {})


@dataclass(frozen=True)
class Order:
    """A merge as workers are told of it."""

    job: bytes = field(repr=False)
    """Pickled: no weights, but the paths to them."""
    plan: str
    """What the job must say on every worker: all that the work folder's plan says, and what decides rounding."""
    folder: Path
    device: str
    workers: int | None
    number: str = field(default_factory=lambda: uuid4().hex)
    """Of this order alone, so that no worker goes on with files that were replaced since an earlier one."""

    @classmethod
    def of(cls, job: Job, folder: Path, device: str, workers: int | None) -> "Order":
        """The order to write files of a job to a folder."""
        return cls(pickle.dumps(job), text_of(job), folder, device, workers)

    def place(self, shard: str) -> Path:
        """Where a worker puts an output file for the one that asks, who alone gives files their names."""
        return self.folder / f"{shard}.{self.number}.tmp"


def text_of(job: Job) -> str:
    """What decides a job's bytes, apart from what the files hold, on this machine."""
    return json.dumps(job.plan() | rounding(job.placement.kind), sort_keys=True)


def answer(function: Callable[..., Result], *arguments: Any) -> Result | WudiError:
    """What a function returns, or the `WudiError` that it raises: to Dask a user's mistake is a result as any other."""
    try:
        return function(*arguments)
    except WudiError as error:
        return WudiError(str(error))


def check(order: Order, cores: int = 1) -> None:
    """Raise a `WudiError` unless this worker sees the files that an order is about."""
    opened(order, cores)
    plan, said = order.folder / PLAN, json.loads(order.plan)
    found = json.loads(plan.read_text(encoding="utf-8")) if plan.is_file() else {}
    if not found or any(said.get(key) != value for key, value in found.items()):
        raise WudiError(f"{order.folder}: is not what it is on the machine that asks")
    if not os.access(order.folder, os.W_OK):
        raise WudiError(f"{order.folder}: cannot be written here")


@lru_cache(maxsize=1)
def opened(order: Order, cores: int) -> Job:
    """The job of an order, on the devices of this worker, which may use so many cores.

    Raises:
        WudiError: Its files are not here, or are others.
    """
    job: Job = pickle.loads(order.job)
    placement = spread(choose_devices(order.device), order.workers, job.placement.threads, cores)
    job = replace(job, placement=placement)
    if text_of(job) != order.plan:
        here, there = json.loads(text_of(job)), json.loads(order.plan)
        differing = ", ".join(key for key in there if here.get(key) != there[key])
        raise WudiError(f"{job.base.path}: the merge is another one here ({differing})")
    return job


def hashed(path: Path, positions: Sequence[int]) -> dict[int, str]:
    """The SHA-256 of all that comes before each of some positions in a file, which are in ascending order."""
    file = HashedFile(path, path.stat().st_size)
    try:
        return dict(file.advance(position) for position in positions)
    finally:
        if file.stream is not None:
            file.stream.close()


def surveyed(order: Order) -> Any:
    """What the method wants to know of the whole model first."""
    with TURN:
        job = own_job(order)
        with computing(job) as workers:
            return survey(job, HashedElsewhere(), workers, silent)


def written(order: Order, shard: str, known: Any) -> ShardRecord:
    """Write one output file."""
    with TURN:
        job = own_job(order)
        with computing(job) as workers:
            [(_, record)] = write_shards(job, order.place, [shard], HashedElsewhere(), known, workers, silent)
            return record


def own_job(order: Order) -> Job:
    """The job of an order on the worker that runs this task, which may have joined since others were checked."""
    from distributed import get_worker

    worker = get_worker()
    try:
        check(order, worker.state.nthreads)
    except WudiError as error:
        raise WudiError(f"worker {worker.address}: {error}") from None
    return opened(order, worker.state.nthreads)


class HashedElsewhere:
    """Stands for the hashes of input files where each file is hashed by a task of its own."""

    def cover(self, shard: str, tensors: Sequence[tuple[str, str]]) -> None:
        """Nothing is left to do."""

    def marks(self, shard: str) -> Marks:  # noqa: ARG002
        """None: they are added where the hashes are known."""
        return {}

    def finish(self) -> dict[str, dict[str, str]]:
        """Nothing: it is known elsewhere."""
        return {}
