"""Telling people of a night: one message to each channel of params.yaml. Nothing that fails here fails a night."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flows.nightly.receivers import ATTEMPTS, NotYetSent, address, discreet, notify, post, said, saved_block
from tasks import paths
from tasks.alerts import Channel, Event, hosts_alone
from wudi.errors import WudiError

SECONDS = 10.0
"""How long a receiver may take to connect, and then to answer."""
TEXT, CONTENT = 8000, 2000
"""Characters that a message may have: more than people read, and Discord's limit."""


@dataclass(frozen=True)
class Alert:
    """Something that people want to know of a night."""

    event: Event
    subject: str
    body: str
    link: str | None = None
    """Where there is more."""
    night: str | None = None
    """Its date or its tag."""


def check_channels(channels: Sequence[Channel]) -> None:
    """Look whether the channels of params.yaml lead somewhere, before a night that would have nobody to tell.

    Raises:
        WudiError: A variable is not set or holds no URL; a block is not saved, or sends no notifications: a line each.
    """
    problems = []
    for number, channel in enumerate(channels):
        try:
            address(channel.webhook) if channel.webhook else saved_block(channel.block or "")
        except (WudiError, NotYetSent) as error:
            problems.append(f"{paths.PARAMS}: nightly.alerts.{number}: {error}")
    if problems:
        raise WudiError("\n".join(problems))


def send_alerts(alerts: Sequence[Alert], channels: Sequence[Channel], *, seconds: float = SECONDS) -> list[str]:
    """Tell each channel what it wants to know of, in one message; try some times, and raise nothing.

    Args:
        alerts: What there is to tell.
        channels: Whom to tell.
        seconds: How long a webhook's receiver may take to answer.

    Returns:
        A sentence for each channel that did not take its message.
    """
    problems = []
    for channel in channels:
        wanted = [alert for alert in alerts if alert.event in channel.events]
        if wanted:
            try:
                with discreet():
                    send(wanted, channel, seconds)
            except Exception as error:  # a night does not fail because nobody could be told of it
                problems.append(f"no alert went to {label(channel)}: {reason(error)}")
    return problems


def send(alerts: Sequence[Alert], channel: Channel, seconds: float) -> None:
    """Send one message."""
    if channel.webhook:
        post(address(channel.webhook), payload(alerts), seconds)
    else:
        notify(channel.block or "", subject_of(alerts), body_of(alerts))


def label(channel: Channel) -> str:
    """A channel without its secret."""
    return f"the block {channel.block}" if channel.block else f"the webhook {hosts_alone(channel.webhook or '')}"


def reason(error: Exception) -> str:
    """What an error says, with hosts alone."""
    if isinstance(error, NotYetSent):
        return f"{error}, after {ATTEMPTS} attempts"
    return str(error) if isinstance(error, WudiError) else f"{type(error).__name__} ({said(error)})"


def payload(alerts: Sequence[Alert]) -> dict[str, Any]:
    """What a webhook gets: `text` is what Slack, Mattermost and Teams show, `content` what Discord does."""
    subject, body = subject_of(alerts), body_of(alerts)
    text = f"{subject}\n{body}".strip()
    return {
        "text": shortened(text, TEXT),
        "content": shortened(text, CONTENT),
        "subject": subject,
        "events": [alert.event for alert in alerts],
        "night": next((alert.night for alert in alerts if alert.night), None),
        "link": next((alert.link for alert in alerts if alert.link), None),
    }


def subject_of(alerts: Sequence[Alert]) -> str:
    """What a message is about."""
    return "; ".join(dict.fromkeys(alert.subject for alert in alerts))


def body_of(alerts: Sequence[Alert]) -> str:
    """The alerts one after another, under their subjects where there are several, and where there is more."""
    several = len(alerts) > 1
    parts = [f"{alert.subject}\n{alert.body}" if several else alert.body for alert in alerts]
    return "\n\n".join([*parts, *dict.fromkeys(alert.link for alert in alerts if alert.link)])


def shortened(text: str, most: int) -> str:
    """The text, or its beginning."""
    return text if len(text) <= most else text[: most - 1] + "…"
