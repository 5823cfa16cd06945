"""The project as DVC sees it, locked while it is read and written."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wudi.errors import WudiError
from wudi.settings import nearest

if TYPE_CHECKING:  # DVC takes most of a second, which a mistake on the command line must not cost
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB

ADD = "`dvc remote add --default NAME URL` makes one"


@contextmanager
def repository() -> Iterator["Repo"]:
    """DVC's repository in the current folder.

    Raises:
        WudiError: There is none, or DVC cannot do what is asked of it.
    """
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            yield repo
    except NotDvcRepoError:
        raise WudiError(
            ".: in no DVC repository; run this in the project's root folder, or make it one with `dvc init`"
        ) from None
    except DvcException as error:
        raise WudiError(f"DVC: {reasons(error)}") from None


@contextmanager
def locked_repository() -> Iterator["Repo"]:
    """DVC's repository in the current folder; no other DVC command changes it meanwhile.

    Raises:
        WudiError: There is none, git does not keep it, or DVC cannot do what is asked of it.
    """
    from dvc.repo import lock_repo
    from dvc.scm import Git

    with repository() as repo, lock_repo(repo):
        if not isinstance(repo.scm, Git):
            raise WudiError(f"{repo.root_dir}: is no git repository, so there is no telling what is needed; `git init`")
        yield repo


def reasons(error: BaseException) -> str:
    """What an error of DVC says, with what caused it; its own sentence often names no more than a revision."""
    said = [str(error).strip()]
    while (cause := error.__cause__) is not None:
        said.append(str(cause).strip())
        error = cause
    return ": ".join(" ".join(text.split()) for text in dict.fromkeys(said) if text)


def remote_objects(repo: "Repo", name: str | None) -> "HashFileDB":
    """The objects of a remote, of the default one without a name.

    Raises:
        WudiError: The remote does not answer, or holds nothing, as one that is not mounted does.
    """
    known = list(repo.config["remote"])
    if name is not None and name not in known:
        raise WudiError(f"remote {name}: DVC knows none of that name; {nearest(name, known) if known else ADD}")
    remote = repo.cloud.get_remote(name)
    try:
        there = remote.fs.exists(remote.odb.path)
    except Exception as error:  # each store has errors of its own
        raise WudiError(f"remote {remote.name} ({remote.path}): does not answer ({reasons(error)})") from None
    if not there:
        raise WudiError(
            f"remote {remote.name} ({remote.path}): nothing was ever pushed there; "
            "see that it is mounted and that its `url` is right (`dvc remote list`)"
        )
    return remote.odb
