"""Tonight's tree: what the branch has now, with the memory of the last night laid over it."""

from dataclasses import dataclass

from flows.nightly.git import Git
from flows.nightly.references import ORIGINS, adopt, heal
from tasks.alerts import hosts_alone
from wudi.errors import WudiError

MEMORY = ("dvc.lock", "results")
"""What a night writes and the next one starts from; everything else is the branch's."""


class NoBranch(WudiError):
    """The branch that nights are to be made of is not there."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What a night stands on."""

    source: str
    """The commit of the branch."""
    last: str | None
    """The commit of the last good night."""
    diverged: bool
    """Whether two machines made nights of which neither had the other's: only a commit brings them together."""
    branch: str | None
    """The commit at which this clone has the branch of the nights."""
    parents: tuple[str, ...]
    """What tonight's commit is to follow: the nights before it, and the branch."""


def fetch(git: Git, branch: str, results: str) -> Ground:
    """Ask the origin what there is.

    Args:
        git: The nights' clone.
        branch: The branch to make nights of.
        results: The branch of the nights.

    Raises:
        NoBranch: The origin has no such branch, or it is the same for both.
        GitFailed: The origin does not answer.
    """
    if branch == results:
        raise NoBranch(f"{branch}: nights are made of one branch and kept on another; name two")
    if git.run("check-ref-format", f"refs/heads/{results}").returncode:
        raise NoBranch(f"{results}: no name that a branch can have; nights are kept on one, such as nightly")
    heal(git, results)
    # The origin's tags of nights lie apart: one that another night here has would make git refuse.
    wanted = ("+refs/heads/*:refs/remotes/origin/*", f"+refs/tags/night/*:{ORIGINS}night/*")
    git.over_network("fetch", "--prune", "--no-tags", "origin", *wanted)
    adopt(git)
    source = git.commit(f"refs/remotes/origin/{branch}")
    if source is None:
        raise no_branch(git, branch)
    own = git.commit(f"refs/heads/{results}")
    found = newest(git, [night for night in (own, git.commit(f"refs/remotes/origin/{results}")) if night is not None])
    # The nights first, so that `git log --first-parent` lists them.
    parents = [*found, *(commit for commit in newest(git, [*found, source]) if commit == source)]
    return Ground(
        source=source,
        last=found[0] if found else None,
        diverged=len(found) > 1,
        branch=own,
        parents=tuple(dict.fromkeys(parents)),
    )


def no_branch(git: Git, branch: str) -> NoBranch:
    """That the origin has no such branch, and which ones it has."""
    there = git("for-each-ref", "--format=%(refname:lstrip=3)", "refs/remotes/origin").split()
    known = ", ".join(name for name in there if name != "HEAD") or "no branch at all: commit something"
    origin = hosts_alone(git("remote", "get-url", "origin"))
    return NoBranch(f"{branch}: no such branch in {origin}; it has {known}")


def newest(git: Git, commits: list[str]) -> list[str]:
    """The commits that lead to no other one of them, the last made first.

    Two machines may have made nights of which neither knew the other's: then both are followed.
    """
    different = list(dict.fromkeys(commits))
    tips = [one for one in different if not any(one != other and git.is_ancestor(one, other) for other in different)]
    return sorted(tips, key=lambda commit: -int(git("show", "--no-patch", "--format=%ct", commit)))


def lay_out(git: Git, ground: Ground) -> None:
    """Make the clone's files those of tonight; what git ignores, such as checkpoints and work in hand, stays."""
    git("checkout", "--quiet", "--force", "--detach", ground.source)
    git("clean", "--quiet", "--force", "-d")
    if ground.last is not None:
        for path in MEMORY:
            if git.has(ground.last, path):
                git("checkout", "--quiet", ground.last, "--", path)


def written(git: Git) -> str:
    """Git's name for the tree of the files as they are now."""
    git("add", "--all")
    return git("write-tree")


def is_unchanged(git: Git, ground: Ground) -> bool:
    """Whether the files are those of the last good night, and no other night is to be followed too."""
    return (
        ground.last is not None and not ground.diverged and written(git) == git("rev-parse", f"{ground.last}^{{tree}}")
    )
