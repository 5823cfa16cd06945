"""The ends of the channels: webhooks and Prefect's notification blocks.

Whoever knows a webhook's URL may write to it, so of a URL no error and no log line says more than its host.
"""

import asyncio
import inspect
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from prefect.blocks import notifications  # noqa: F401 — registers Prefect's own types
from prefect.blocks.abstract import NotificationBlock, NotificationError
from prefect.blocks.core import Block
from tenacity import retry, retry_if_not_exception_type, stop_after_attempt, wait_exponential

from tasks.alerts import VARIABLE, hosts_alone, is_address
from tasks.fetching.attempts import first_line
from wudi.errors import WudiError

ATTEMPTS = 3
TALKATIVE = ("httpx", "httpcore", "urllib3", "apprise")
"""Loggers that tell of each request, with its URL, below the level of a warning."""


class NotSent(WudiError):
    """A channel did not take a message, and would not a second time."""


class NotYetSent(Exception):
    """A channel did not take a message, and may the next time."""


def address(webhook: str) -> str:
    """The URL of a webhook, from the environment where params.yaml says so.

    Raises:
        NotSent: The variable is not set, or holds something else.
    """
    if not webhook.startswith(VARIABLE):
        return webhook
    name = webhook.removeprefix(VARIABLE)
    url = os.environ.get(name, "").strip()
    if not url:
        raise NotSent(f"the variable {name} is not set where the night runs; set it to the webhook's URL")
    if not is_address(url):
        raise NotSent(f"the variable {name} holds no http(s) URL; set it to the webhook's")
    return url


repeatedly = retry(
    retry=retry_if_not_exception_type(NotSent),
    stop=stop_after_attempt(ATTEMPTS),
    wait=wait_exponential(max=10),
    reraise=True,
)


@repeatedly
def post(url: str, content: dict[str, Any], seconds: float) -> None:
    """Post JSON to a webhook.

    Raises:
        NotYetSent: It does not answer, or with a status that passes.
        NotSent: It refuses.
    """
    try:
        status = httpx.post(url, json=content, timeout=seconds).status_code
    except httpx.TransportError as error:
        raise NotYetSent(f"it did not answer ({type(error).__name__})") from None
    except httpx.InvalidURL:
        raise NotSent("its URL is malformed") from None
    if status in (408, 429) or status >= 500:
        raise NotYetSent(f"it answered with status {status}")
    if not 200 <= status < 300:
        raise NotSent(f"it answered with status {status}; check its URL")


@repeatedly
def notify(reference: str, subject: str, body: str) -> None:
    """Send a message through a block of Prefect, in a thread without an event loop.

    Raises:
        NotSent: There is no such block.
        Exception: Whatever the block raises.
    """
    block = saved_block(reference)
    with block.raise_on_failure():
        # Some types' method gives something to await, which is for a caller in a loop of its own.
        sent: Any = block.notify(body=body, subject=subject)
        if inspect.isawaitable(sent):
            asyncio.run(awaited(sent))


async def awaited(sent: Any) -> None:
    """Wait for it."""
    await sent


def saved_block(reference: str) -> NotificationBlock:
    """A block of Prefect's server, by `TYPE/NAME`.

    Raises:
        NotSent: It is not there, cannot be loaded, or sends no notifications.
    """
    try:
        block: Any = Block.load(reference)
    except httpx.HTTPError as error:
        raise NotYetSent(f"Prefect's server did not answer ({type(error).__name__})") from None
    except Exception as error:
        raise NotSent(
            f"the block {reference} cannot be loaded ({said(error)}); `prefect block ls` lists those that there are"
        ) from None
    if not isinstance(block, NotificationBlock):
        raise NotSent(f"the block {reference} sends no notifications; take one like slack-webhook/NAME")
    return block


@contextmanager
def discreet() -> Iterator[None]:
    """Meanwhile nobody logs what is asked of whom."""
    levels = {logger: logger.level for logger in map(logging.getLogger, TALKATIVE)}
    for logger in levels:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def said(error: Exception) -> str:
    """The first line of what a library says."""
    return hosts_alone(first_line(Exception(error.log) if isinstance(error, NotificationError) else error))
