"""Checks that wait for a server, side by side and with a limit: one that hangs holds up nobody, also at the end."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from tasks.doctoring.finding import Finding, discreet, note

Check = Callable[[], Sequence[Finding]]

SECONDS = 5.0
"""How long all of them together are waited for, once there is nothing else to do."""


class Waiting:
    """Checks under way, by the name that is told where one does not end in time."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._found: dict[str, Sequence[Finding]] = {}
        self._threads = {
            name: threading.Thread(target=self._run, args=(name, check), daemon=True) for name, check in checks.items()
        }
        for thread in self._threads.values():
            thread.start()

    def findings(self) -> Iterator[Finding]:
        """What they found, in their order; of one that still waits, that."""
        end = time.monotonic() + SECONDS
        for name, thread in self._threads.items():
            thread.join(max(0.0, end - time.monotonic()))
            yield from self._found.get(name) or [
                note(name, f"no answer within {SECONDS:.0f} seconds", "run the doctor again, or look at the network")
            ]

    def _run(self, name: str, check: Check) -> None:
        try:
            self._found[name] = check()
        except Exception as error:  # each library has errors of its own, and one check is no reason to end the others
            self._found[name] = [note(name, f"could not be looked at ({type(error).__name__}: {discreet(error)})")]
