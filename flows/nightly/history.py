"""Nights as git keeps them: a commit on their own branch, a tag each, and a note of those not yet pushed."""

import re
from datetime import date

from flows.nightly.git import Git
from flows.nightly.tree import Ground, written

UNPUSHED = "refs/unpushed/"
"""Below it a reference for each night that not every remote has."""


def next_tag(git: Git, night: date) -> str:
    """The tag of the next night of a date: night/2026-11-22, and for others of that date .2, .3, ..."""
    first = f"night/{night.isoformat()}"
    taken = tags_of(git, night)
    return f"{first}.{len(taken) + 1}" if taken else first


def tags_of(git: Git, night: date) -> list[str]:
    """The tags of the nights of one date, in their order."""
    pattern = re.compile(rf"night/{night.isoformat()}(?:\.(\d+))?")
    found = {
        tag: int(match[1] or 1)
        for tag in git("tag", "--list", f"night/{night.isoformat()}*").split()
        if (match := pattern.fullmatch(tag))
    }
    return sorted(found, key=lambda tag: found[tag])


def commit_night(git: Git, ground: Ground, *, results: str, tag: str, message: str) -> str:
    """Commit the files as they are on the branch of the nights, tagged; returns the commit.

    Branch, tag and the note that it is to be pushed appear together or not at all.
    """
    who = identity(git)
    parents = [argument for parent in ground.parents for argument in ("-p", parent)]
    commit = git(*who, "commit-tree", written(git), *parents, "-F", "-", stdin=message)
    keep(git, {f"refs/heads/{results}": commit, **tagged(git, commit, tag, message)})
    git("symbolic-ref", "HEAD", f"refs/heads/{results}")
    return commit


def repeat_night(git: Git, ground: Ground, *, results: str, tag: str, message: str) -> str:
    """Tag the last night's commit once more, for a night in which nothing changed."""
    assert ground.last is not None
    keep(git, {f"refs/heads/{results}": ground.last, **tagged(git, ground.last, tag, message)})
    git("symbolic-ref", "HEAD", f"refs/heads/{results}")
    return ground.last


def tagged(git: Git, commit: str, tag: str, message: str) -> dict[str, str]:
    """The references of a night: its tag, which says who made it and when, and the note that it is to be pushed."""
    tagger = git(*identity(git), "var", "GIT_COMMITTER_IDENT")
    text = f"object {commit}\ntype commit\ntag {tag}\ntagger {tagger}\n\n{message.strip()}\n"
    # `mktag` is strict about its input: no settings can change what is written.
    made = git("mktag", stdin=text)
    return {f"refs/tags/{tag}": made, f"{UNPUSHED}{tag}": made}


def keep(git: Git, references: dict[str, str]) -> None:
    """Set references, all of them or none."""
    lines = ["start", *(f"update {name} {value}" for name, value in references.items()), "prepare", "commit"]
    git("update-ref", "--stdin", stdin="\n".join(lines) + "\n")


def unpushed(git: Git) -> list[str]:
    """The tags of the nights that some remote lacks, oldest first."""
    return git("for-each-ref", "--format=%(refname:lstrip=2)", "--sort=creatordate", UNPUSHED).split()


def mark_pushed(git: Git, tags: list[str]) -> None:
    """Take back the note that they are to be pushed."""
    for tag in tags:
        git("update-ref", "-d", f"{UNPUSHED}{tag}")


def identity(git: Git) -> tuple[str, ...]:
    """Who makes the commit, where git does not know."""
    missing = {"user.name": "nightly", "user.email": "nightly@localhost"}
    return tuple(
        part for key, value in missing.items() if git.setting(key) is None for part in ("-c", f"{key}={value}")
    )
