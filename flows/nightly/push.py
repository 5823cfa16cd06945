"""Bring nights to the remotes: checkpoints and results with DVC, commits and tags with git."""

from pathlib import Path

from flows.nightly.git import Git, GitFailed
from flows.nightly.history import mark_pushed, unpushed
from tasks.alerts import hosts_alone
from tasks.storage.pushed import absent_outputs


def push(git: Git, results: str) -> tuple[str, ...]:
    """Push every night that some remote lacks.

    Returns:
        What is in the way, a sentence each. The nights stay where they are, noted for the next time.
    """
    tags = unpushed(git)
    problems = [problem for problem in (push_data(git.root, tags), push_commits(git, results, tags)) if problem]
    if not problems:
        mark_pushed(git, tags)
    return tuple(problems)


def push_data(root: Path, tags: list[str]) -> str | None:
    """`dvc push` for some revisions; without a remote there is nothing to do."""
    from dvc.repo import Repo

    if not tags:
        return None
    with Repo(str(root)) as repo:
        if not repo.config["core"].get("remote"):
            return None
        try:
            repo.push(revs=tags, workspace=False)
            lacking = absent_outputs(repo, tags)
        except Exception as error:  # of DVC, of fsspec's stores, of their network: all mean the same here
            return f"dvc push failed, and is tried again with the next night: {first_line(error)}"
    if lacking:
        # DVC passes over what its cache has not, with a warning at most.
        return f"dvc push has not brought everything, and is tried again with the next night: {', '.join(lacking)}"
    return None


def push_commits(git: Git, results: str, tags: list[str]) -> str | None:
    """`git push` of the branch and the tags, all or none."""
    wanted = [f"refs/heads/{results}", *(f"refs/tags/{tag}" for tag in tags)]
    try:
        git.over_network("push", "--quiet", "--atomic", "origin", *wanted)
    except GitFailed as error:
        return f"git push failed, and is tried again with the next night: {hosts_alone(str(error))}"
    return None


def first_line(error: BaseException) -> str:
    """What an error says, on one line."""
    return hosts_alone(" ".join(str(error).split())) or type(error).__name__
