"""The workers of a Dask cluster as machines for stages; they share the workspace under the same path."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from prefect.settings import get_current_settings

from flows.cluster_site import WorkerSite, difference, machine
from flows.machines import Future, StageTask
from flows.plan import Plan
from flows.stage_task import Work
from tasks.processes import STEPS
from wudi.crew import CONNECT, PATIENCE, Crew, crew_of, silenced
from wudi.errors import WudiError

if TYPE_CHECKING:
    from distributed import Future as DaskFuture

GPU = "GPU"
"""The resource that workers with GPUs offer: `dask worker ... --resources GPU=1`."""
END_SECONDS = sum(patience for _, patience in STEPS) + 20.0
"""How long stages may take to stop."""


class Cluster:
    """The workers of a scheduler."""

    def __init__(self, runner: Any, crew: Crew) -> None:
        from distributed import Event

        self._runner = runner
        self._crew = crew
        self._site = WorkerSite(f"wudi-{uuid4().hex}")
        self._stop = Event(self._site.name, client=crew.client)
        self._on_gpus: list[tuple[int, Future]] = []
        self._gpus_seen = time.monotonic()

    def submit(self, task: StageTask, work: Work, upstream: Sequence[Future]) -> Future:
        """Start a stage's task on a worker, on one that has a GPU for it where any has."""
        from dask.base import annotate

        gpus = 0 if work.unchanged else min(work.stage.gpus, offered_gpus(self._crew))
        # Merged with what Prefect passes on to Dask, which has no word for resources.
        with annotate(**({"resources": {GPU: gpus}} if gpus else {})):
            future: Future = self._runner.submit(task, {"work": work, "site": self._site}, wait_for=upstream)
        self._on_gpus += [(gpus, future)] if gpus else []
        return future

    def problem(self, future: Future) -> str:
        """What the workers that took a stage died of, as far as Dask knows."""
        status = wrapped(future).status
        if status == "error":
            return f"the workers that took it died, or could not begin it: {wrapped(future).exception()}"
        if status != "finished":
            self.check()
            return f"the cluster gave it up ({status})"
        return ""

    def check(self) -> None:
        """Raise a `WudiError` when the scheduler, or what workers it needs, have been gone for too long."""
        self._crew.cores()
        needed = max((gpus for gpus, future in self._on_gpus if not wrapped(future).done()), default=0)
        if not needed or offered_gpus(self._crew) >= needed:
            self._gpus_seen = time.monotonic()
        elif time.monotonic() - self._gpus_seen > PATIENCE:
            raise WudiError(
                f"scheduler {self._crew.scheduler}: the workers with GPUs are gone; start some with `--resources "
                f"{GPU}={needed}` and run the same command again"
            )

    def stop(self, futures: Sequence[Future]) -> None:
        """Stop the stages and wait for their ends, as long as that takes on workers that are there."""
        from distributed import wait

        pending = [found for found in map(wrapped, futures) if not found.done()]
        if self._crew.client.status != "running" or not pending:
            return
        self._stop.set()
        try:
            with self._crew.client.as_current():
                wait(pending, timeout=END_SECONDS)
        except TimeoutError:
            self._crew.client.cancel(pending)
        finally:
            self._stop.clear()


@contextmanager
def connected(scheduler: str, plan: Plan) -> Iterator[Cluster]:
    """The cluster of a Dask scheduler.

    Raises:
        WudiError: A package is missing, no scheduler answers, there are no workers, or one that does not have the
            same versions, does not see the same workspace, or does not reach Prefect's API.
    """
    check_packages()
    api = get_current_settings().api.url
    with crew_of(scheduler) as crew:
        here = machine(plan.root, api)
        for address, there in crew.ask_all(machine, plan.root, api).items():
            if found := difference(there, here):
                raise WudiError(f"worker {address}: {found}")
    from prefect_dask.task_runners import DaskTaskRunner

    options = {"timeout": CONNECT, "name": "wudi-pipeline"}
    with silenced("distributed"), DaskTaskRunner(address=scheduler, client_kwargs=options) as runner:
        yield Cluster(runner, Crew(runner.client, scheduler))


def check_packages() -> None:
    """Raise a `WudiError` when a package for clusters is missing."""
    try:
        import prefect_dask  # noqa: F401
    except ModuleNotFoundError as error:
        raise WudiError(f"scheduler: takes the package {error.name}; pip install 'wudi[dask]'") from None


def wrapped(future: Future) -> "DaskFuture[Any]":
    """Dask's future of a task."""
    found: DaskFuture[Any] = cast(Any, future).wrapped_future
    return found


def offered_gpus(crew: Crew) -> int:
    """How many GPUs the worker with most of them offers."""
    known: Any = crew.client.scheduler_info(n_workers=-1)["workers"]
    return max((int(worker["resources"].get(GPU, 0)) for worker in known.values()), default=0)
