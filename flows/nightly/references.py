"""The references of nights: written together, whole again after a kill, brought together with those of the origin."""

import re

from flows.nightly.git import Git

TAGS = "refs/tags/"
"""A tag for each night, of every machine."""
ORIGINS = "refs/origin-nights/"
"""Below it the origin's tags of nights, as they were at the last fetch."""
UNPUSHED = "refs/unpushed/"
"""Below it a reference for each night made here that not every remote has."""
UNTOLD = "refs/untold/"
"""Below it a reference for each night made here that nobody was told of."""


def write(git: Git, lines: list[str]) -> None:
    """Change references, all of them or none; if git is killed at it, in this order as far as it came."""
    git("update-ref", "--stdin", stdin="\n".join(["start", *lines, "prepare", "commit"]) + "\n")


def write_night(git: Git, tag: str, made: str, branch: str) -> None:
    """Write the references of a new night; `branch` is the line that moves its branch.

    The note that it is to be pushed comes first and the branch last: `heal` then knows what is left to do.
    """
    write(git, [*(f"create {place}{tag} {made}" for place in (UNPUSHED, UNTOLD, TAGS)), branch])


def move(name: str, commit: str, before: str | None) -> str:
    """The line that moves a branch, if nobody has moved it since; or that makes it, if nobody has."""
    return f"update {name} {commit} {before}" if before else f"create {name} {commit}"


def heal(git: Git, results: str) -> None:
    """Finish what a kill or a power cut left half-written: a night has its tag and is on its branch.

    Args:
        git: The nights' clone.
        results: The branch of the nights.
    """
    for tag in listed(git, UNPUSHED):
        made = git("rev-parse", f"{UNPUSHED}{tag}")
        commit = git("rev-parse", f"{made}^{{commit}}")
        branch = [] if git("for-each-ref", "--contains", commit, "refs/heads") else forward(git, results, commit)
        if branch or git.commit(f"{TAGS}{tag}") is None:
            write(git, [f"update {UNTOLD}{tag} {made}", f"update {TAGS}{tag} {made}", *branch])
    # The tag of a night that was pushed is gone because a person took it back: there is nothing to tell.
    forget(git, UNTOLD, [tag for tag in listed(git, UNTOLD) if git.commit(f"{TAGS}{tag}") is None])


def forward(git: Git, results: str, commit: str) -> list[str]:
    """The line that brings a branch on to a commit, unless it went another way."""
    name = f"refs/heads/{results}"
    before = git.commit(name)
    return [move(name, commit, before)] if before is None or git.is_ancestor(before, commit) else []


def adopt(git: Git) -> None:
    """Take the origin's tags of nights.

    A night that is yet to be pushed gives way to another one of that name, and is numbered anew.
    """
    origins, own, notes = listed(git, ORIGINS), listed(git, TAGS), listed(git, UNPUSHED)
    for tag, made in origins.items():
        if notes.get(tag, made) != made:
            renumber(git, tag)
        elif own.get(tag) != made:
            write(git, [f"update {TAGS}{tag} {made}"])


def renumber(git: Git, tag: str) -> None:
    """Give a night that is yet to be pushed the next free name, and its old one to that of the origin."""
    header, _, message = git("cat-file", "tag", f"{UNPUSHED}{tag}").partition("\n\n")
    new = unused(git, re.sub(r"\.\d+$", "", tag))
    made = git("mktag", stdin=re.sub(r"(?m)^tag .*", f"tag {new}", header) + f"\n\n{message}\n")
    places = [UNPUSHED, *([UNTOLD] if tag in listed(git, UNTOLD) else []), TAGS]
    write(
        git,
        [
            *(f"create {place}{new} {made}" for place in places),
            f"update {TAGS}{tag} {ORIGINS}{tag}",
            *(f"delete {place}{tag}" for place in places if place != TAGS),
        ],
    )


def unused(git: Git, first: str) -> str:
    """A name that no night has or had, as far as is known: the first one of a date, or it with .2, .3, ..."""
    taken = {tag for place in (TAGS, ORIGINS, UNPUSHED, UNTOLD) for tag in listed(git, place)}
    numbers = numbered(taken, first)
    return f"{first}.{max(numbers) + 1}" if numbers else first


def numbered(tags: set[str], first: str) -> dict[int, str]:
    """The nights of one date among some, by their numbers, in their order; the first is 1."""
    matches = [match for tag in tags if (match := re.fullmatch(rf"{re.escape(first)}(?:\.(\d+))?", tag))]
    return dict(sorted((int(match[1] or 1), match[0]) for match in matches))


def listed(git: Git, place: str) -> dict[str, str]:
    """The nights that have a reference below a place, oldest first, and what each stands for."""
    arguments = ("--format=%(objectname) %(refname:lstrip=2)", "--sort=creatordate", f"{place}night/")
    pairs = (line.split() for line in git("for-each-ref", *arguments).splitlines())
    return {tag: made for made, tag in pairs}


def forget(git: Git, place: str, tags: list[str]) -> None:
    """Take back the references of some nights below a place, where there are any."""
    if tags:
        write(git, [f"delete {place}{tag}" for tag in tags])
