"""A clone on a new machine: what the nights before it made is brought from the remote, and not computed anew."""

from flows.nightly.git import Git
from tasks.storage.repository import reasons
from tasks.storage.restoring import restore
from wudi.errors import WudiError

MARK = "nights-taken-over"
"""A file in the clone's .git folder: everything was brought, once; from then on DVC's cache has what is made."""


def take_over_nights(git: Git) -> str | None:
    """Bring what the dvc.lock of the last night names, if this clone never had it.

    Returns:
        What was in the way, if anything: then the stages compute it, and the next night tries again.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo, lock_repo

    mark = git.root / ".git" / MARK
    if mark.exists():
        return None
    try:
        with Repo(str(git.root)) as repo, lock_repo(repo):
            restore(repo, None)
    except WudiError as error:
        return f"the nights before were not brought here, and are computed anew: {error}"
    except DvcException as error:
        return f"the nights before were not brought here, and are computed anew: {reasons(error)}"
    mark.touch()
    return None
