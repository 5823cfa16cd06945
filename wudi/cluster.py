"""A merge on the workers of a Dask cluster that share their files: one task a shard, and who is free takes the next."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path

from wudi.checkpoint import Checkpoint
from wudi.cluster_hashes import ClusterHashes
from wudi.cluster_tasks import Machine, Order, check, machine, rounding, surveyed, written
from wudi.crew import Crew, crew_of
from wudi.errors import WudiError
from wudi.input_hashes import Hashes
from wudi.job import Job
from wudi.placement import Placement, threads_for
from wudi.progress import Track
from wudi.shards import ShardRecord
from wudi.tensor_merge import TensorMerge

SAME_FILES = "all workers must see the inputs and the output's folder under the same paths as this machine"


class Cluster:
    """The workers of a scheduler, in the place of this machine."""

    def __init__(self, crew: Crew, device: str, workers: int | None) -> None:
        self.crew = crew
        self.device = device
        self.workers = workers

    def place(self, merge: TensorMerge) -> Placement:
        """The devices that each worker has; the threads are those with which this machine merges.

        Raises:
            WudiError: Workers that would write other bytes than each other or, on a CPU, than this machine.
        """
        machines: dict[str, Machine] = self.crew.ask_all(machine, self.device)
        first, chosen = next(iter(machines.items()))
        here = rounding(chosen.devices[0].type)
        for address, other in machines.items():
            refuse_others(f"worker {address}", {"device": other.model}, f"worker {first}", {"device": chosen.model})
            refuse_others(f"worker {address}", other.rounding, "this machine", here)
        return Placement(chosen.devices, threads_for(chosen.devices[0], merge), chosen.model)

    def hashes(self, checkpoints: Mapping[str, Checkpoint], track: Track) -> AbstractContextManager[Hashes]:
        """Hashes of whole files, each by some worker."""
        return nullcontext(ClusterHashes(self.crew, checkpoints, track))

    def write(
        self, job: Job, folder: Path, shards: Sequence[str], hashes: Hashes, track: Track
    ) -> Generator[tuple[str, ShardRecord]]:
        """Each file by some worker."""
        order = Order.of(job, folder, self.device, self.workers)
        try:
            self.crew.ask_all(check, order)
        except WudiError as error:
            raise WudiError(f"{error}; {SAME_FILES}") from None
        [(_, known)] = self.crew.map(surveyed, {"survey": (order,)})
        names = job.output_shards()
        pending = iter(track([name for shard in shards for name in names[shard]], "merging"))
        next(pending)
        with closing(self.crew.map(written, {shard: (order, shard, known) for shard in shards})) as answers:
            for shard, record in answers:
                order.place(shard).replace(folder / shard)
                record.inputs = hashes.marks(shard)
                yield shard, record
                for _ in names[shard]:
                    next(pending, None)


@contextmanager
def connected(scheduler: str, device: str, workers: int | None) -> Iterator[Cluster]:
    """The cluster of a Dask scheduler, for as long as it is used.

    Raises:
        WudiError: The package for it is missing, or no scheduler answers there.
    """
    with crew_of(scheduler) as crew:
        yield Cluster(crew, device, workers)


def refuse_others(who: str, found: Mapping[str, str], than: str, expected: Mapping[str, str]) -> None:
    """Raise a `WudiError` where two machines would not write the same bytes."""
    for key in expected.keys() | found.keys():
        if found.get(key) != expected.get(key):
            raise WudiError(
                f"{who}: {key} is {found.get(key, 'missing')}, but {expected.get(key, 'missing')} on {than}; make them "
                "the same, as others may round differently"
            )
