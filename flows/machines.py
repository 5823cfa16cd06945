"""Where the stages of a run are run: on this machine, or on the workers of a Dask cluster."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from threading import Event
from typing import Any, Protocol

from prefect import State, Task
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from flows.gpus import Gpus
from flows.plan import Plan
from flows.report import StageReport
from flows.slots import Place, Slots
from flows.stage_task import Work

Future = PrefectFuture[Any]
StageTask = Task[Any, State[StageReport]]


class Machines(Protocol):
    """Runs the tasks of stages."""

    def submit(self, task: StageTask, work: Work, upstream: Sequence[Future]) -> Future:
        """Start a stage's task, which waits for the upstream ones."""

    def problem(self, future: Future) -> str:
        """Why a task that ended has no state, for no fault of its stage; nothing where it has one.

        Raises:
            WudiError: Nothing more can be run.
        """

    def check(self) -> None:
        """Raise a `WudiError` when nothing more can be run."""

    def stop(self, futures: Sequence[Future]) -> None:
        """Stop the stages and wait for their ends."""


class ThisMachine:
    """The processors and GPUs of this machine; one thread a stage: most of them only wait."""

    def __init__(self, runner: ThreadPoolTaskRunner[Any], workers: int) -> None:
        self.stopping = Event()
        self._runner = runner
        self._slots = Slots(workers, Gpus())

    def place(self, gpus: int) -> AbstractContextManager[Place]:
        """A place for one stage."""
        return self._slots.take(gpus=gpus, stopping=self.stopping)

    def submit(self, task: StageTask, work: Work, upstream: Sequence[Future]) -> Future:
        """Start a stage's task, which waits for the upstream ones."""
        return self._runner.submit(task, {"work": work, "site": self}, wait_for=upstream)

    def problem(self, future: Future) -> str:  # noqa: ARG002
        """Nothing: a thread always ends with a state."""
        return ""

    def check(self) -> None:
        """Nothing: this machine is there."""

    def stop(self, futures: Sequence[Future]) -> None:
        """Stop the stages and wait for their ends."""
        self.stopping.set()
        for future in futures:
            future.wait()


@contextmanager
def machines(scheduler: str | None, workers: int, plan: Plan) -> Iterator[Machines]:
    """So many workers on this machine, or the cluster of a Dask scheduler.

    Raises:
        WudiError: The cluster cannot run the stages: see `flows.cluster.connected`.
    """
    if scheduler is None:
        threads: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner()
        with threads as runner:
            yield ThisMachine(runner, workers)
    else:
        from flows.cluster import connected

        with connected(scheduler, plan) as cluster:
            yield cluster
