"""Bring back what dvc.lock names, from DVC's cache and remote: `python -m tasks.restore`."""

import logging

from tasks.console import command, step
from tasks.orphans import remove_orphans
from tasks.params import load_params
from tasks.storage.repository import locked_repository
from tasks.storage.restoring import restore
from wudi.commands.arguments import Arguments

DESCRIPTION = """Bring back the checkpoints and results of this commit from DVC's cache and remote.

What neither has is named, and `dvc repro` computes it. With a remote that has everything, `dvc pull` does the same;
but where something is missing there, `dvc pull` and `dvc repro --pull` bring nothing at all into the workspace.
"""
EXAMPLES = (
    ("python -m tasks.restore", "everything of the commit that is checked out"),
    ("python -m tasks.restore --results", "scores, answers and the report: small and quick"),
    ("python -m tasks.restore --remote archive", "from another remote than the default one"),
)


def main() -> None:
    """Restore, and say what is left to compute."""
    parser = Arguments(
        prog="python -m tasks.restore",
        description=DESCRIPTION,
        reads="dvc.lock, DVC's cache and its remote",
        writes="models/, task_vectors/, merged/, scores/, samples/, results/, as far as they are there",
        examples=EXAMPLES,
    )
    parser.add_argument("--remote", metavar="NAME", help="where to fetch from (default: DVC's default remote)")
    parser.add_argument("--results", action="store_true", help="scores, answers and results, and no checkpoint")
    options = parser.parse_args()
    show_transfers()
    with locked_repository() as repo:
        remove_orphans(load_params())  # of the revision that was checked out before
        restored = restore(repo, options.remote, results_alone=options.results)
    step(f"{len(restored.there)} outputs restored")
    if restored.missing:
        step(f"neither in the cache nor in a remote, so `dvc repro` computes: {', '.join(restored.missing)}")


def show_transfers() -> None:
    """Let DVC draw its bars, which take hours for large models, and say what went wrong in its own form."""
    from dvc.logger import setup

    setup(logging.WARNING)


if __name__ == "__main__":
    command(main)
