"""Nights as git keeps them: a commit on their own branch, a tag each, and notes of what is yet to be done with them."""

from datetime import date

from flows.nightly.git import Git
from flows.nightly.references import TAGS, UNPUSHED, UNTOLD, forget, listed, move, numbered, unused, write_night
from flows.nightly.tree import Ground, written


def next_tag(git: Git, night: date) -> str:
    """The tag of the next night of a date: night/2026-11-22, and for others of that date .2, .3, ..."""
    return unused(git, first_tag(night))


def tags_of(git: Git, night: date) -> list[str]:
    """The tags of the nights of one date, in their order."""
    return list(numbered(set(listed(git, TAGS)), first_tag(night)).values())


def first_tag(night: date) -> str:
    """The tag of a date's first night."""
    return f"night/{night.isoformat()}"


def commit_night(git: Git, ground: Ground, *, results: str, tag: str, message: str) -> str:
    """Commit the files as they are on the branch of the nights, tagged; returns the commit.

    Branch, tag and the notes that it is to be pushed and told of appear together or not at all.

    Raises:
        GitFailed: Among others, where there is a night of that tag, or the branch was moved since `fetch`.
    """
    who = identity(git)
    parents = [argument for parent in ground.parents for argument in ("-p", parent)]
    commit = git(*who, "commit-tree", written(git), *parents, "-F", "-", stdin=message)
    keep(git, ground, commit, results=results, tag=tag, message=message)
    return commit


def repeat_night(git: Git, ground: Ground, *, results: str, tag: str, message: str) -> str:
    """Tag the last night's commit once more, for a night in which nothing changed.

    Raises:
        GitFailed: As for `commit_night`.
    """
    assert ground.last is not None
    keep(git, ground, ground.last, results=results, tag=tag, message=message)
    return ground.last


def keep(git: Git, ground: Ground, commit: str, *, results: str, tag: str, message: str) -> None:
    """Make a commit the last night, by the name of a tag, which says who made it and when."""
    branch = f"refs/heads/{results}"
    tagger = git(*identity(git), "var", "GIT_COMMITTER_IDENT")
    text = f"object {commit}\ntype commit\ntag {tag}\ntagger {tagger}\n\n{message.strip()}\n"
    # `mktag` is strict about its input: no settings can change what is written.
    write_night(git, tag, git("mktag", stdin=text), move(branch, commit, ground.branch))
    git("symbolic-ref", "HEAD", branch)


def unpushed(git: Git) -> list[str]:
    """The tags of the nights that some remote lacks, oldest first."""
    return list(listed(git, UNPUSHED))


def mark_pushed(git: Git, tags: list[str]) -> None:
    """Take back the note that they are to be pushed."""
    forget(git, UNPUSHED, tags)


def untold(git: Git) -> list[str]:
    """The tags of the nights made here that nobody was told of, oldest first."""
    return list(listed(git, UNTOLD))


def mark_told(git: Git, tags: list[str]) -> None:
    """Take back the note that they are to be told of."""
    forget(git, UNTOLD, tags)


def identity(git: Git) -> tuple[str, ...]:
    """Who makes the commit, where git does not know."""
    missing = {"user.name": "nightly", "user.email": "nightly@localhost"}
    return tuple(
        part for key, value in missing.items() if git.setting(key) is None for part in ("-c", f"{key}={value}")
    )
