"""Whether somebody has cancelled this run in Prefect, itself or a flow that it is part of."""

from collections.abc import Iterator
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run


class Cancellation:
    """Looks for the cancellation of the flow run that makes it, and of the runs that this is a part of."""

    def __init__(self) -> None:
        self._run = UUID(flow_run.id) if flow_run.id else None
        self._family: list[UUID] = []

    def is_asked_for(self) -> bool:
        """Whether one of them is cancelled or about to be; no, when Prefect does not answer."""
        if self._run is None:
            return False
        try:
            with get_client(sync_client=True) as client:
                self._family = self._family or list(family(client, self._run))
                runs = client.read_flow_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=self._family)))
        except (httpx.HTTPError, ObjectNotFound):
            return False
        return any(run.state and (run.state.is_cancelled() or run.state.is_cancelling()) for run in runs)


def family(client: SyncPrefectClient, run: UUID) -> Iterator[UUID]:
    """A flow run, the one that called it, the one that called that, and so on."""
    yield run
    task_run = client.read_flow_run(run).parent_task_run_id
    if task_run is not None:
        parent = client.read_task_run(task_run).flow_run_id
        if parent is not None:
            yield from family(client, parent)
