"""The nights' own clone: made once, kept for months, and never a folder in which a person works."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from flows.nightly.git import Git, GitFailed, persistently, reason, start
from flows.nightly.leftovers import end_earlier, remove_locks
from tasks.alerts import hosts_alone
from wudi.errors import WudiError

MARK = "nightly.repository"
"""The setting in a clone's git configuration by which it is known for one, and for whose."""
SETTINGS = {"core.fsync": "all", "gc.autoDetach": "false"}
"""A night survives a power cut, as soon as it is committed; and git leaves nothing at work behind it."""


class NotOurs(WudiError):
    """The folder is there and is no clone that nights were made in."""


class AnotherNight(WudiError):
    """Another night is at work in the clone."""


@contextmanager
def alone(workspace: Path) -> Iterator[None]:
    """Keep every other night out of the clone, from before it is made.

    The system drops the lock however the process ends.

    Raises:
        AnotherNight: There is one.
    """
    workspace.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{workspace}.lock", timeout=0):
            yield
    except Timeout:
        raise AnotherNight(f"another night is at work in {workspace}") from None


def default_workspace(repository: str) -> Path:
    """Where the clone of a checkout is if nobody says otherwise: beside it, on the same disk."""
    folder = Path(repository)
    if not folder.is_dir():
        raise WudiError(f"{repository} is no folder here: name the clone's folder with --workspace")
    folder = folder.resolve()
    return folder.with_name(f"{folder.name}-nightly")


def open_clone(repository: str, workspace: Path) -> Git:
    """The clone, made if it is not there yet, and without what a killed night left in it; for who is `alone` there.

    Args:
        repository: A URL that git clones; or a checkout of the project. Of a checkout it is the origin that is cloned
            and pushed to, or itself if it has none, and never what is uncommitted in it.
        workspace: The clone's folder.

    Raises:
        NotOurs: The folder holds something else.
        GitFailed: Git cannot clone it.
    """
    url = origin_of(repository)
    end_earlier(workspace)
    if not workspace.exists() or (workspace.is_dir() and not any(workspace.iterdir())):
        make(url, workspace)
    git = Git(workspace)
    found = git.setting(MARK) if (workspace / ".git").is_dir() else None
    if found is None:
        raise NotOurs(
            f"{workspace}: this folder was not made by a night, and a night would overwrite it; "
            "name a new folder with --workspace, or leave that out"
        )
    if found != url:
        raise NotOurs(
            f"{workspace}: nights of {hosts_alone(found)} are made there, and not of {hosts_alone(url)} (`git config "
            f"{MARK}` there says the address in full); name another --workspace"
        )
    remove_locks(workspace)
    for name, value in SETTINGS.items():
        if git.setting(name) != value:
            git("config", name, value)
    return git


def origin_of(repository: str) -> str:
    """What to clone: of a checkout its origin, if it has one.

    Raises:
        GitFailed: The folder is no git repository.
    """
    folder = Path(repository)
    if not folder.is_dir():
        return repository
    git = Git(folder.resolve())
    try:
        if git("rev-parse", "--is-bare-repository") == "true":
            return str(git.root)
        top = Path(git("rev-parse", "--show-toplevel"))
    except GitFailed:
        raise GitFailed(
            f"{repository}: no git repository, in which nights are kept: run `git init` and commit"
        ) from None
    url = git.setting("remote.origin.url")
    if url is None:
        return str(top)
    # Git takes a relative path as seen from the checkout; the clone lies elsewhere.
    return str((top / url).resolve()) if (top / url).is_dir() else url


def make(url: str, workspace: Path) -> None:
    """Clone: under another name, until it is whole."""
    partial = workspace.with_name(f"{workspace.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)

    def clone() -> None:
        settings = [part for name, value in SETTINGS.items() for part in ("--config", f"{name}={value}")]
        arguments = ["clone", "--quiet", "--no-checkout", "--no-tags", *settings, url, str(partial)]
        process = start(workspace, arguments)
        if process.returncode:
            raise GitFailed(f"{hosts_alone(url)} cannot be cloned: {reason(process)}")

    persistently(clone)
    Git(partial)("config", MARK, url)
    if workspace.exists():
        workspace.rmdir()
    partial.rename(workspace)
