"""How many stages run at once on a machine: so many workers, and where there are GPUs one stage a GPU besides."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Semaphore

from flows.gpus import Gpus
from flows.stopping import Stopped, Stopping


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a stage may run now."""

    variables: Mapping[str, str | None] = field(default_factory=dict)
    """The environment variables to run with; None removes one."""
    held: tuple[int, ...] = ()
    """The open files that keep the place."""


class Slots:
    """Hands out the places of one machine.

    A stage that needs GPUs takes them where the machine has any, and no worker: its work is on the GPU. Where
    there is none it is a stage like the others.
    """

    def __init__(self, workers: int, gpus: Gpus) -> None:
        self._workers = Semaphore(workers)
        self._gpus = gpus

    @contextmanager
    def take(self, *, gpus: int, stopping: Stopping) -> Iterator[Place]:
        """Wait for a place and hold it.

        Raises:
            Stopped: `stopping` was set before a place was free.
        """
        if gpus and self._gpus.names:
            with gpu_place(self._gpus, gpus, stopping) as place:
                yield place
            return
        while not self._workers.acquire(timeout=0.2):
            if stopping.is_set():
                raise Stopped
        try:
            yield Place()
        finally:
            self._workers.release()


@contextmanager
def gpu_place(gpus: Gpus, count: int, stopping: Stopping) -> Iterator[Place]:
    """A place with GPUs of its own."""
    with gpus.take(count, stopping) as taken:
        yield Place(variables={"CUDA_VISIBLE_DEVICES": ",".join(taken)}, held=tuple(taken.values()))
