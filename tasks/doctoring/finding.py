"""What a check finds, in one calm line, with the command that mends it."""

import re
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "problem"]
"""As it should be; good to know; in the way of a run."""


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's."""

    name: str
    """What was looked at, in a word or two."""
    state: State
    text: str
    remedy: str = ""
    """A command that mends it, or what to edit; empty where nothing is to be done."""


def ok(name: str, text: str) -> Finding:
    """All is as it should be."""
    return Finding(name, "ok", text)


def note(name: str, text: str, remedy: str = "") -> Finding:
    """Good to know, and in nobody's way."""
    return Finding(name, "note", text, remedy)


def problem(name: str, text: str, remedy: str) -> Finding:
    """In the way of a run."""
    return Finding(name, "problem", text, remedy)


def discreet(text: object) -> str:
    """A text in one line, without the names and passwords that addresses in it carry."""
    return re.sub(r"(\w://)[^\s/@]*@", r"\1", " ".join(str(text).split()))
