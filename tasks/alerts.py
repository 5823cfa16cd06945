"""The `nightly` section of params.yaml: whom to tell what of a night, and whether to free space after it."""

import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from tasks.strict import Strict, fail

Event = Literal["failure", "fall", "best", "night"]
"""A night failed; a recipe lost more than chance explains; the best score so far; every night's summary."""
VARIABLE = "env:"


def is_address(text: str) -> bool:
    """Whether a text is an http(s) URL of some host."""
    try:
        parts = urlsplit(text)
        sound_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and sound_port and not re.search(r"\s", text)


def hosts_alone(text: str) -> str:
    """A text for people, in which every web address ends after its host: what follows there may be a secret."""
    return re.sub(r"(https?://)(?:[^\s/@'\"]*@)?([^\s/?#'\"]*)[^\s'\"]*", r"\1\2", text)


def valid_webhook(webhook: str) -> str:
    """An address, or where it is to be found."""
    if webhook.startswith(VARIABLE):
        sound = re.fullmatch(r"[A-Za-z_]\w*", webhook.removeprefix(VARIABLE), re.ASCII) is not None
    else:
        sound = is_address(webhook)
    if not sound:
        raise fail("takes an http(s) URL, or env:NAME with the name of the variable that holds one")
    return webhook


def valid_block(block: str) -> str:
    """A block as Prefect names it."""
    if not re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+", block):
        raise fail("takes TYPE/NAME of a saved block, like slack-webhook/team; `prefect block ls` lists them")
    return block


class Channel(Strict):
    """Somebody to tell, and what of."""

    webhook: Annotated[str, AfterValidator(valid_webhook)] | None = Field(None, repr=False)
    """A URL that takes JSON, or `env:NAME`: the variable that holds it, because whoever knows it may write there."""
    block: Annotated[str, AfterValidator(valid_block)] | None = None
    """A notification block of Prefect, `TYPE/NAME`."""
    events: tuple[Event, ...] = ("failure", "fall", "best")
    """What of. The key is not `on`, which YAML 1.1 reads as true."""

    @field_validator("events")
    @classmethod
    def some_events(cls, events: tuple[Event, ...]) -> tuple[Event, ...]:
        """A channel that is never told anything is a mistake."""
        if not events:
            raise fail("takes at least 1 entry")
        return events

    @model_validator(mode="after")
    def one_of_both(self) -> Self:
        """A channel leads to one place."""
        if (self.webhook is None) == (self.block is None):
            raise fail("takes either webhook (a URL, or env:NAME) or block (TYPE/NAME of Prefect)")
        return self


class Nightly(Strict):
    """What concerns nights and no stage."""

    alerts: tuple[Channel, ...] = ()
    gc: bool = False
    """Whether a night that was pushed frees the space of older nights' merged models in its clone (`tasks.gc`)."""
