"""DVC's list of the paths that processes use, which one that is killed while writing it leaves cut off."""

import json
from pathlib import Path

UNREADABLE = "Unable to read RWLock-file"
"""What DVC says of a list that is cut off, and goes on saying until somebody deletes it."""


def mend(root: Path) -> None:
    """Delete the list of a workspace if it is cut off; what it held, nobody knows any more.

    Under the lock that DVC takes to edit it, so that a list which is only just being written is left alone; while
    another process holds that lock, the list is its own to write, and nothing is done.
    """
    from dvc.lock import LockError, make_lock
    from dvc.rwlock import RWLOCK_FILE, RWLOCK_LOCK

    folder = root / ".dvc" / "tmp"
    path = folder / RWLOCK_FILE
    if readable(path):
        return
    try:
        with make_lock(str(folder / RWLOCK_LOCK), tmp_dir=str(folder)):
            if not readable(path):
                path.unlink(missing_ok=True)
    except LockError:
        return


def readable(path: Path) -> bool:
    """Whether DVC could read it; a list that is not there is as good as empty."""
    try:
        json.loads(path.read_bytes())
    except FileNotFoundError:
        return True
    except ValueError:
        return False
    return True
