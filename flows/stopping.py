"""How a run tells its stages to stop."""

from typing import Protocol


class Stopped(Exception):
    """The run was told to stop before the stage had ended."""


class Stopping(Protocol):
    """Set once, when the run is to stop; `threading.Event` is one."""

    def is_set(self) -> bool:
        """Whether the run is to stop."""

    def wait(self, timeout: float) -> bool:
        """Sleep for some seconds, or until the run is to stop; whether it is."""
