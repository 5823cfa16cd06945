"""A worker of a Dask cluster, as seen from the stage that it runs."""

import hashlib
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from flows.gpus import Gpus
from flows.slots import Place, gpu_place

POLL_SECONDS = 1.0
"""How often the scheduler is asked whether the run is to stop."""
PACKAGES = ("dask", "distributed", "dvc", "prefect", "prefect-dask")
CODE = ("flows", "tasks", "wudi")
"""The project's packages. Those in the workspace, which stages import first, are the same by being shared."""


class WorkerSite:
    """Where a stage runs: a worker, which is told to stop through the scheduler.

    It is pickled as the name of the run's event alone.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> tuple[Any, ...]:
        """Only the name goes to a worker."""
        return WorkerSite, (self.name,)

    @cached_property
    def stopping(self) -> "WorkerStopping":
        """Set when the run is to stop."""
        return WorkerStopping(self.name)

    @contextmanager
    def place(self, gpus: int) -> Iterator[Place]:
        """A place on the worker: Dask has counted its threads and GPUs already, other runs' stages are waited for.

        A merge does not take the cluster for its shards in turn: those would wait for threads that merges hold.
        """
        alone: dict[str, str | None] = {"WUDI_SCHEDULER": None}
        devices = Gpus() if gpus else None
        if devices is None or not devices.names:
            yield Place(variables=alone)
            return
        with gpu_place(devices, gpus, self.stopping) as place:
            yield Place(variables={**place.variables, **alone}, held=place.held)


class WorkerStopping:
    """Set when the run's event is, and when nobody waits for the stage any more.

    So it is when the flow has died, or the scheduler, or when it has given this worker up.
    """

    def __init__(self, name: str) -> None:
        from distributed import Event, get_client, get_worker
        from distributed.utils import thread_state  # type: ignore[attr-defined]

        self._worker = get_worker()
        self._key = thread_state.key
        self._event = Event(name, client=get_client())
        self._next = time.monotonic()
        self._set = False

    def is_set(self) -> bool:
        """Whether the run is to stop."""
        if not self._set and time.monotonic() >= self._next:
            self._set = self._is_alone() or self._event.is_set()
            self._next = time.monotonic() + POLL_SECONDS
        return self._set

    def wait(self, timeout: float) -> bool:
        """Sleep for some seconds, or until the run is to stop; whether it is."""
        deadline = time.monotonic() + timeout
        while not self.is_set() and time.monotonic() < deadline:
            time.sleep(max(0.0, min(0.2, deadline - time.monotonic())))
        return self._set

    def _is_alone(self) -> bool:
        """Whether nobody waits for the stage: the scheduler has told the worker to forget it, or is gone."""
        task = self._worker.state.tasks.get(self._key)
        wanted = task is not None and task.state in ("executing", "long-running")
        return not wanted or self._worker.status.name in ("closing", "closed", "failed")


@dataclass(frozen=True)
class Machine:
    """What must be the same on a worker as here."""

    versions: dict[str, str]
    code: str
    """A hash of the project's code that is installed."""
    graph: str
    """A hash of the workspace's dvc.yaml; nothing where it is not seen."""
    api: str = field(compare=False)
    """What keeps it from Prefect's API; nothing where it answers."""


def machine(root: Path, api: str | None) -> Machine:
    """What there is on this machine."""
    graph = root / "dvc.yaml"
    versions = {package: version(package) for package in PACKAGES}
    return Machine(
        versions={"Python": ".".join(platform.python_version_tuple()[:2]), **versions},
        code=code_hash(),
        graph=hashlib.sha256(graph.read_bytes()).hexdigest() if graph.is_file() else "",
        api=refusal(api),
    )


def code_hash() -> str:
    """A hash of the project's modules as they are imported here, by their names."""
    code = hashlib.sha256()
    for package in CODE:
        folder = Path(str(files(package)))
        for path in sorted(folder.rglob("*.py")):
            code.update(f"{package}/{path.relative_to(folder).as_posix()}\n{path.stat().st_size}\n".encode())
            code.update(path.read_bytes())
    return code.hexdigest()


def refusal(api: str | None) -> str:
    """Why Prefect's API does not answer here; nothing where it does."""
    import httpx

    try:
        httpx.get(f"{api}/health", timeout=5.0).raise_for_status()
    except httpx.HTTPError as error:
        return f"Prefect's API at {api} does not answer there ({error}); set PREFECT_API_URL to a server that all reach"
    return ""


def difference(there: Machine, here: Machine) -> str:
    """What keeps a worker from running the stages of this machine's run; nothing where it can."""
    for package, expected in here.versions.items():
        if there.versions.get(package) != expected:
            found = there.versions.get(package, "missing")
            return f"{package} is {found}, but {expected} on this machine; install there what is here"
    if there.code != here.code:
        return "has other code of the package flows, tasks or wudi than this machine; install there what is here"
    if there.graph != here.graph:
        return "does not see this workspace's dvc.yaml; all workers must see the workspace under the same path"
    return there.api
