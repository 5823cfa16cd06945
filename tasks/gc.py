"""Free what can be computed again and what nothing names any more: `python -m tasks.gc`."""

import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tasks import paths
from tasks.console import command, console, quiet, step, track
from tasks.params import load_params
from tasks.storage.named import Lists, Named, named
from tasks.storage.repository import locked_repository, remote_objects
from tasks.storage.sweep import Unneeded, delete, unneeded
from wudi.commands.arguments import Arguments
from wudi.errors import WudiError

if TYPE_CHECKING:
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB

DESCRIPTION = """Free disk space in DVC's cache, or in a remote.

Kept of every branch, tag and experiment: scores, answers, metrics and reports, the base and the experts.
Dropped: merged models and task vectors of all revisions but the workspace and HEAD, which `dvc repro` computes again
to the same bytes, and everything that no revision names.
"""
EXAMPLES = (
    ("python -m tasks.gc --dry", "how much there is to free"),
    ("python -m tasks.gc --keep v1.0", "free it, but keep the merged models of the tag v1.0"),
    ("python -m tasks.gc --remote storage", "the same in a remote; asks first"),
    ("python -m tasks.gc --project ../other", "of a cache that another project uses too"),
)


def main() -> None:
    """Say what can go, and delete it."""
    options = parse()
    with locked_repository() as repo:
        refuse_at_work(repo)
        place = remote_objects(repo, options.remote) if options.remote else own_cache(repo, options.project)
        going = unneeded(place, named_by_all(repo, place, options))
        answers = [] if options.remote else answers_of_others()
        freed = going.bytes + sum(file.stat().st_size for file in answers)
        tell(place, going, answers)
        if options.dry or not freed:
            return
        if options.remote and not options.yes:
            confirm(f"Delete {len(going.hashes)} objects of the remote {options.remote}?")
        delete(place, going.hashes, track)
        for file in answers:
            file.unlink(missing_ok=True)
    step(f"freed {in_words(freed)}")


def parse() -> Namespace:
    """The command line."""
    parser = Arguments(
        prog="python -m tasks.gc",
        description=DESCRIPTION,
        reads="every branch, tag and experiment of git, and DVC's cache or a remote",
        writes="nothing; it deletes from that cache or remote, and from .cache/answers",
        examples=EXAMPLES,
    )
    parser.add_argument("--dry", action="store_true", help="say what would go, and delete nothing")
    parser.add_argument(
        "--keep", metavar="REV", action="append", default=[], help="keep merged models and task vectors of REV too"
    )
    parser.add_argument("--remote", metavar="NAME", help="free a remote, and not the cache")
    parser.add_argument("--yes", action="store_true", help="do not ask before a remote is freed")
    parser.add_argument(
        "--project",
        metavar="DIR",
        type=Path,
        action="append",
        default=[],
        help="another clone or project that uses this cache or remote: what it names is kept too",
    )
    return parser.parse_args()


def refuse_at_work(repo: "Repo") -> None:
    """Refuse while experiments run in folders of their own: no revision names yet what they have made.

    Raises:
        WudiError: There are such experiments.
    """
    queues = (repo.experiments.celery_queue, repo.experiments.tempdir_queue)
    names = [entry.name or entry.stash_rev[:7] for queue in queues for entry in queue.iter_active()]
    if names:
        raise WudiError(
            f"experiments are running ({', '.join(names)}), and what they made is named by nothing yet: "
            "wait for them, or `dvc queue stop --kill`"
        )


def own_cache(repo: "Repo", projects: list[Path]) -> "HashFileDB":
    """The objects of the cache.

    Raises:
        WudiError: The cache lies outside the project, where others may use it, and none of them was named.
    """
    inside = repo.cache.default_local_cache_dir
    shared = inside is None or not Path(repo.cache.local.path).is_relative_to(inside)
    if shared and not projects:
        raise WudiError(
            f"{repo.cache.local_cache_dir}: this cache lies outside the project, so others may use it; name each with "
            "--project DIR, or say --project . where there is no other"
        )
    return repo.cache.local


def named_by_all(repo: "Repo", place: "HashFileDB", options: Namespace) -> Named:
    """What this project and the others name.

    Raises:
        WudiError: A project, or a revision of one, cannot be read.
    """
    found = Named()
    with console.status("reading revisions") as status:

        def read(one: "Repo", keep: list[str]) -> None:
            lists = Lists([one.cache.local, place])
            named(one, lists, keep, found, lambda revision: status.update(f"reading {revision[:10]}"))

        read(repo, [*options.keep, *unpushed(repo)])
        for folder in options.project:
            if folder.resolve() != Path(repo.root_dir).resolve():
                with ExitStack() as stack:
                    stack.enter_context(inside_of(folder))
                    read(stack.enter_context(locked_repository()), [])
    return found


def unpushed(repo: "Repo") -> list[str]:
    """The nights that a remote still lacks, which `flows.nightly` notes below refs/unpushed/: nobody else has them."""
    return list(repo.scm.iter_refs("refs/unpushed"))


@contextmanager
def inside_of(folder: Path) -> Iterator[None]:
    """Be in another folder for a while.

    Raises:
        WudiError: There is no such folder.
    """
    here = Path.cwd()
    if not folder.is_dir():
        raise WudiError(f"--project {folder}: no such folder")
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)


def answers_of_others() -> list[Path]:
    """The answers kept of models that params.yaml no longer names."""
    known = load_params().models()
    return [file for file in sorted(paths.answers("*").parent.glob("*.db")) if file.stem not in known]


def tell(place: "HashFileDB", going: Unneeded, answers: list[Path]) -> None:
    """What can go, a line a kind."""
    step(f"{place.path}:")
    rows = {
        "merged models and task vectors that `dvc repro` computes again": list(going.rebuilt.values()),
        "what no branch or tag ends in, and no experiment": list(going.unnamed.values()),
        "answers kept of models that params.yaml no longer names": [file.stat().st_size for file in answers],
    }
    for what, sizes in rows.items():
        if sizes:
            step(f"  {in_words(sum(sizes)):>10} in {len(sizes)} files: {what}")
    if not any(rows.values()):
        step("  nothing to free")


def confirm(question: str) -> None:
    """Ask, and end unless the answer is yes.

    Raises:
        WudiError: Nobody is there to answer, or the answer is another.
    """
    if not sys.stdin.isatty():
        raise WudiError(f"{question} Nobody is there to answer: say --yes to delete, --dry to look")
    if console.input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise WudiError("nothing was deleted")


def in_words(size: int) -> str:
    """A number of bytes with its unit."""
    from rich.filesize import decimal

    return decimal(size)


if __name__ == "__main__":
    quiet()
    command(main)
