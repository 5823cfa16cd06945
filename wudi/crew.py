"""The workers behind a Dask scheduler, and how they are given work: all that is known of Dask on this side."""

import logging
import re
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from wudi.cluster_tasks import answer
from wudi.errors import WudiError

if TYPE_CHECKING:
    from distributed import Client, Future

ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx|ucxx)://[^/\s]+:\d{1,5}")
CONNECT = 5.0
"""Seconds in which a scheduler must answer."""
PATIENCE = 30.0
"""Seconds for which a cluster may be without any worker."""
POLL = 1.0
"""Seconds after which workers are counted anew while nothing is finished."""
RETRIES = 2
"""How often a task that failed by no mistake of the user's is tried again."""


class ResultLostError(Exception):
    """A task's result was lost with its worker before it could be fetched."""


class Crew:
    """The workers that a scheduler has at the moment: some may join, and some may be lost."""

    def __init__(self, client: "Client", scheduler: str) -> None:
        self.client = client
        self.scheduler = scheduler
        self._seen = time.monotonic()

    def cores(self) -> dict[str, int]:
        """How many cores each worker may use, by its address.

        Raises:
            WudiError: The scheduler is gone, or has been without workers for too long.
        """
        known = self.client.scheduler_info(n_workers=-1)["workers"]
        found = {address: worker["nthreads"] for address, worker in known.items()}
        if self.client.status != "running":
            raise self.lost()
        if found:
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > PATIENCE:
            raise WudiError(
                f"scheduler {self.scheduler}: has no workers; start some with `dask worker {self.scheduler}` and run "
                "the same command again"
            )
        return found

    def lost(self) -> WudiError:
        """What to say when the scheduler is gone."""
        return WudiError(
            f"scheduler {self.scheduler}: the connection is lost; start it again and run the same command again, with "
            "or without it: what is finished is kept"
        )

    def ask_all(self, function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        """What a function returns on each worker that is not lost meanwhile, by the worker's address.

        Raises:
            WudiError: A worker raises it, does not have this package, or has another version; or there are no workers.
        """
        from distributed.comm.core import CommClosedError

        answers: dict[str, Any] = {}
        while not answers:
            if self.cores():
                answers = self.client.run(answer, function, *arguments, on_error="return")
            answers = {who: found for who, found in answers.items() if not isinstance(found, CommClosedError)}
            time.sleep(0 if answers else POLL / 10)
        for address, found in answers.items():
            if isinstance(found, WudiError):
                raise WudiError(f"worker {address}: {found}")
            if isinstance(found, (ImportError, AttributeError)):
                raise WudiError(f"worker {address}: cannot run this package ({found}); install there what is here")
            if isinstance(found, Exception):
                raise found
        return answers

    def map(
        self, function: Callable[..., Any], questions: Mapping[str, tuple[Any, ...]], *, each_core: bool = False
    ) -> Generator[tuple[str, Any]]:
        """What a function returns for the arguments of each question, as they are finished.

        Each worker has one at a time, or one a core; what a lost worker had is given to another.

        Raises:
            WudiError: A task raises it, or no workers are left, or each that took a task has died of it.
        """
        waiting = deque(questions.items())
        running: dict[Future[Any], str] = {}
        while waiting or running:
            cores = self.cores()
            room = sum(cores.values()) if each_core else len(cores)
            while waiting and len(running) < room:
                name, arguments = waiting.popleft()
                running[self.submit(function, arguments)] = name
            for future in self.finished(running):
                try:
                    found = self.result(future, running[future])
                except ResultLostError:  # another worker does it again, if there is one
                    continue
                yield running.pop(future), found

    def submit(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> "Future[Any]":
        """Have a function called by some worker."""
        key = f"{function.__name__}-{uuid4().hex}"
        return self.client.submit(answer, function, *arguments, key=key, pure=False, retries=RETRIES)

    def finished(self, running: "Mapping[Future[Any], str]") -> "list[Future[Any]]":
        """Those that are finished; they are waited for a little."""
        from concurrent.futures import CancelledError

        from distributed import wait

        if not running:
            time.sleep(POLL / 10)
            return []
        try:
            return list(wait(list(running), timeout=POLL, return_when="FIRST_COMPLETED").done)
        except TimeoutError:
            return []
        except CancelledError:
            raise self.lost() from None

    def result(self, future: "Future[Any]", name: str) -> Any:
        """What a task returned; what it raised is raised here.

        Raises:
            ResultLostError: The worker that has the result is gone, or the scheduler is.
        """
        from concurrent.futures import CancelledError

        from distributed import KilledWorker
        from distributed.comm.core import CommClosedError

        try:
            found = future.result(timeout=CONNECT)  # or it would wait for workers that never come
        except (TimeoutError, CancelledError, CommClosedError):
            if future.status == "error":  # it is the task's own
                raise
            raise ResultLostError from None
        except KilledWorker as error:
            raise WudiError(
                f"{name}: the workers that took it died, {error.allowed_failures + 1} of them, the last one "
                f"{error.last_worker.address}; see whether they had memory enough, and run the same command again"
            ) from None
        if isinstance(found, WudiError):
            raise found
        return found


@contextmanager
def crew_of(scheduler: str) -> Iterator[Crew]:
    """The workers of the scheduler at an address.

    Raises:
        WudiError: The package for it is missing, or no scheduler answers there.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise WudiError("scheduler: takes the package distributed; pip install 'wudi[dask]'") from None
    if not ADDRESS.fullmatch(scheduler):
        raise WudiError(f"scheduler: got {scheduler!r}; takes the address of a Dask scheduler, like tcp://HOST:8786")
    with silenced("distributed"):
        try:
            client = Client(scheduler, timeout=CONNECT, set_as_default=False, name="wudi")
        except (OSError, ValueError) as error:
            raise WudiError(
                f"scheduler {scheduler}: no Dask scheduler answers there ({first_line(error)}); start one with `dask "
                "scheduler` and name its address, like tcp://HOST:8786"
            ) from None
        with client, client.as_current():  # which gives up all that is unfinished when it is closed
            yield Crew(client, scheduler)


def first_line(error: Exception) -> str:
    """What an error says, without what follows."""
    return (str(error).splitlines() or [type(error).__name__])[0]


@contextmanager
def silenced(logger: str) -> Iterator[None]:
    """Let a logger say nothing: what goes wrong is told once, by an error."""
    package = logging.getLogger(logger)
    before = package.level
    package.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        package.setLevel(before)
