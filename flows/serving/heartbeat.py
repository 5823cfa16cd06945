"""Runs on other machines that went silent: `python -m flows.serving.heartbeat` has Prefect set them to Crashed.

Each run tells Prefect once in a while that it is at work. The automation made here sets a run to Crashed when that
stops before the run has ended. Once for a server is enough; again, it changes nothing.
"""

from collections.abc import Sequence
from datetime import timedelta

from prefect import get_client
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from flows.server import api
from tasks.console import command, step

SECONDS = 60
"""How often a run tells that it is at work."""

SILENCE = timedelta(minutes=10)
"""How long it may be silent: longer than a server takes to be started again, or a network to come back."""


def main() -> None:
    """Create the automation on the server of PREFECT_API_URL."""
    with api(verbose=False):
        watch_heartbeats("nightly", "pipeline")
    step(f"runs that are silent for {SILENCE.seconds // 60} minutes are set to Crashed from now on")


def watch_heartbeats(*flows: str, silence: timedelta = SILENCE) -> None:
    """Have Prefect set runs of some flows to Crashed whose heartbeat stops.

    Args:
        flows: The flows' names.
        silence: How long to wait for the next heartbeat.
    """
    wanted = automation(flows, silence)
    with get_client(sync_client=True) as client:
        known = [found for found in client.read_automations_by_name(wanted.name) if found.enabled]
        if any(found.trigger == wanted.trigger and found.actions == wanted.actions for found in known):
            return
        for stale in known:
            client.delete_automation(stale.id)
        client.create_automation(wanted)


def automation(flows: Sequence[str], silence: timedelta) -> AutomationCore:
    """The automation: a heartbeat, and within the time neither another nor a change of the run's state."""
    return AutomationCore(
        name=f"{', '.join(flows)}: silent runs have crashed",
        description="A run that tells no longer that it is at work is set to Crashed.",
        trigger=EventTrigger(
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            match_related=ResourceSpecification(
                {"prefect.resource.role": "flow", "prefect.resource.name": list(flows)}
            ),
            for_each={"prefect.resource.id"},
            after={"prefect.flow-run.Running", "prefect.flow-run.heartbeat"},
            # Any event: those of a run's end are called after its state's name, which a flow may choose.
            expect={"prefect.flow-run.*"},
            posture=Posture.Proactive,
            threshold=1,
            within=silence,
        ),
        actions=[
            ChangeFlowRunState(
                name=None,
                state=StateType.CRASHED,
                message="no heartbeat: its process is gone, or its machine is cut off",
                force=False,
            )
        ],
    )


if __name__ == "__main__":
    command(main)
