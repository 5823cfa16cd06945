"""A limit over all machines on the stages that hold GPUs: `prefect concurrency-limit create gpu N`.

Prefect would keep tasks that carry the tag `gpu` to that limit by itself, but a task that waits for its tag can be told
nothing: cancelled or interrupted, the run would sit there until another run's stage has ended, for a day perhaps.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.schemas.objects import ConcurrencyLeaseHolder
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectNotFound

from flows.stopping import Stopped, Stopping

TAG = "gpu"
ASK_SECONDS = 5.0
"""How often a stage that waits asks for its turn: Prefect itself would wait up to half a minute between two tries."""
LEASE_SECONDS = 60.0
"""Seconds after which Prefect gives the turn of a process that died to another; it is renewed while the stage runs."""


@contextmanager
def within_limit(task_run: UUID, stopping: Stopping) -> Iterator[None]:
    """Wait until the limit lets one more stage run, and count as that one; at once where there is no limit.

    Raises:
        Stopped: `stopping` was set before.
    """
    with ExitStack() as turn:
        while is_limited() and not entered(turn, task_run):
            if stopping.wait(0.5):
                raise Stopped
        yield


def is_limited() -> bool:
    """Whether there is such a limit; also when Prefect does not answer, so that it is asked again."""
    try:
        with get_client(sync_client=True) as client:
            client.read_concurrency_limit_by_tag(TAG)
    except ObjectNotFound:
        return False
    except httpx.HTTPError:
        return True
    return True


def entered(turn: ExitStack, task_run: UUID) -> bool:
    """Try for some seconds to get a turn."""
    slot = concurrency(
        f"tag:{TAG}",
        timeout_seconds=ASK_SECONDS,
        lease_duration=LEASE_SECONDS,
        holder=ConcurrencyLeaseHolder(type="task_run", id=task_run),
    )
    try:
        turn.enter_context(slot)
    except Exception as error:
        if isinstance(error.__cause__, httpx.HTTPError | TimeoutError) or isinstance(error, TimeoutError):
            return False
        raise
    return True
