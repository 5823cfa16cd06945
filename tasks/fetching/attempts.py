"""What passes with time is tried again, a bounded number of times; what does not is one error at once."""

import errno
import time
from collections.abc import Callable
from typing import TypeVar

from wudi.errors import WudiError

ATTEMPTS = 5
LONGEST = 300.0
"""Seconds; a server that asks for more is asked again after that much."""

Result = TypeVar("Result")


class Damaged(Exception):
    """A file that came otherwise than it was announced."""


def persistently(
    source: str,
    action: Callable[[], Result],
    refusal: Callable[[Exception], WudiError | None],
    asked: Callable[[Exception], float | None] = lambda _: None,
) -> Result:
    """Do something over the network, again after a pause if it fails.

    `refusal` turns errors that no waiting mends into the user's error; `asked` gives the seconds that a server asked
    to wait for.

    Raises:
        WudiError: It was refused, or failed `ATTEMPTS` times.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return action()
        except Exception as error:
            if isinstance(error, WudiError) or getattr(error, "errno", None) == errno.ENOSPC:
                raise
            refused = refusal(error)
            if refused is not None:
                raise refused from None
            if attempt == ATTEMPTS:
                raise gave_up(source, error) from None
            time.sleep(pause(attempt, error, asked(error)))
    raise AssertionError("the last attempt returns or raises")


def pause(attempt: int, error: Exception, asked: float | None) -> float:
    """The seconds before the next attempt."""
    if isinstance(error, Damaged):
        return 0.0  # whoever sent it is there
    return 2.0**attempt / 2 if asked is None else min(asked, LONGEST)


def gave_up(source: str, error: Exception) -> WudiError:
    """The error after the last attempt."""
    what = str(error) if isinstance(error, Damaged) else f"did not answer ({first_line(error)})"
    return WudiError(
        f"{source}: {what}, after {ATTEMPTS} attempts; run the same command again to go on where it stopped"
    )


def first_line(error: Exception) -> str:
    """What an error says, without the advice that libraries add below; its name where it says nothing."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip() if lines else type(error).__name__
