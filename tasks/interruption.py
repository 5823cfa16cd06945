"""A Ctrl-C while DVC runs stages, told in one line."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from wudi.commands.arguments import is_verbose

INTERRUPTED = 130
"""The status after Ctrl-C."""
STOPPED = (f"exited with {INTERRUPTED}", f"exited with -{signal.SIGINT}")
"""How DVC says that a stage ended by Ctrl-C: by itself, or by the signal."""


class Interruption(logging.Filter):
    """Notices in what DVC says that a Ctrl-C came, which is told once, and as no error."""

    of_dvc = False
    of_a_stage = False
    """The stage has told."""

    @classmethod
    @contextmanager
    def noticed(cls) -> Iterator["Interruption"]:
        """One at DVC's handlers."""
        interruption, handlers = cls(), logging.getLogger("dvc").handlers
        for handler in handlers:
            handler.addFilter(interruption)
        try:
            yield interruption
        finally:
            for handler in handlers:
                handler.removeFilter(interruption)

    def filter(self, record: logging.LogRecord) -> bool:
        """Let through what tells of no Ctrl-C."""
        error = record.exc_info[1] if record.exc_info else None
        while error is not None and error.__cause__ is not None:
            error = error.__cause__
        self.of_dvc = self.of_dvc or isinstance(error, KeyboardInterrupt)
        self.of_a_stage = self.of_a_stage or str(error).endswith(STOPPED)
        return is_verbose() or not (self.of_dvc or self.of_a_stage)
