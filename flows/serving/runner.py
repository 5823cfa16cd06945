"""Prefect's Runner in a thread: it starts each run of a deployment, when that is due, in a process of its own.

`flow.serve` would take the main thread with the signals, and end for good when the server is away for a minute.
"""

import asyncio
import contextvars
import importlib
import threading
import time
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.runner import Runner
from prefect.schedules import Schedule

from flows.serving.heartbeat import SECONDS
from tasks.console import warn

PATIENCE = 30.0
"""Seconds between two tries to serve."""

ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
"""A run that is due while another is at work waits for its end. Cancelling it instead would lose a night for good."""


def load_flow(entrypoint: str) -> Flow[Any, Any]:
    """The flow that MODULE:NAME names."""
    module, _, name = entrypoint.partition(":")
    flow: Flow[Any, Any] = getattr(importlib.import_module(module), name)
    return flow


class Serving:
    """A deployment that is registered, and whose runs are started; again and again while Prefect is away."""

    def __init__(self, flow: Flow[Any, Any], name: str, schedule: Schedule, parameters: dict[str, Any]) -> None:
        self._flow = flow
        self._name = name
        self._schedule = schedule
        self._parameters = parameters
        self._loop = asyncio.new_event_loop()
        self._runner: Runner | None = None
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._registered = threading.Event()
        self._try_at = 0.0

    def start(self) -> None:
        """Register the deployment and start its runs from now on.

        Raises:
            Exception: The registration failed.
        """
        self._begin()
        while not self._registered.wait(0.1):
            if self._thread is None or not self._thread.is_alive():
                raise self._error or RuntimeError("Prefect's Runner ended before it began")

    def keep(self) -> None:
        """Begin again if it has ended with an error."""
        if self._thread is not None and self._thread.is_alive():
            self._try_at = time.monotonic() + PATIENCE
        elif time.monotonic() >= self._try_at:
            warn(f"Prefect's Runner has ended ({self._error!r}), and is started again")
            self._try_at = time.monotonic() + PATIENCE
            self._begin()

    def stop(self) -> None:
        """Have the runs at work stopped, and wait for their ends."""
        told = False
        while self._thread is not None and self._thread.is_alive():
            # One that is still about to start cannot be told yet.
            if not told and self._runner is not None and self._runner.started:
                asyncio.run_coroutine_threadsafe(self._runner.astop(), self._loop)
                told = True
            self._thread.join(timeout=0.1)

    def _begin(self) -> None:
        """Start the thread. Prefect keeps its settings in the context, which threads do not take over."""
        self._registered.clear()
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), name="runner", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        """Serve until told to stop, or until Prefect has not answered for some minutes."""
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:  # whatever it was, the next try is on a new Runner
            self._error = error

    async def _serve(self) -> None:
        """Register and run."""
        # One run at a time here too: those that wait stay Late, and do not knock at the limit twice a minute.
        self._runner = Runner(pause_on_shutdown=False, limit=1, heartbeat_seconds=SECONDS)
        await self._runner.aadd_flow(
            self._flow,
            name=self._name,
            schedule=self._schedule,
            parameters=self._parameters,
            concurrency_limit=ONE_AT_A_TIME,
        )
        self._registered.set()
        await self._runner.start()
