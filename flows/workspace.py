"""One flow at a time in a workspace."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows import rwlock
from flows.graph import check_root
from wudi.errors import WudiError


class WorkspaceBusy(WudiError):
    """Another flow is at work here."""


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Keep every other flow out of the workspace.

    The lock belongs to the open file: the system drops it however the process ends, so a lock file that was left
    behind means nothing. `dvc repro` at a terminal has DVC's own lock.

    Raises:
        GraphError: There is no dvc.yaml in the folder.
        WorkspaceBusy: Another flow is inside; the message names its process.
    """
    check_root(root)
    path = root / ".dvc" / "tmp" / "flow.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid = file.read().strip() or "unknown"
            raise WorkspaceBusy(
                f"another run is at work in this folder (process {pid}): wait for it, or end it with `kill {pid}`"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        rwlock.mend(root)
        yield
