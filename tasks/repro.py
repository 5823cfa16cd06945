"""Run what is out of date and print the leaderboard: `python -m tasks.repro`, which is what `make repro` does."""

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING

from tasks import paths
from tasks.console import TABLE_FOLLOWS, command, console, errors, step
from tasks.interruption import INTERRUPTED, Interruption
from tasks.storage.repository import repository
from wudi.commands.arguments import Arguments, is_verbose
from wudi.errors import WudiError
from wudi.settings import nearest

if TYPE_CHECKING:  # DVC takes most of a second
    from dvc.repo import Repo

EXAMPLES = (
    ("python -m tasks.repro", "all that an edit of params.yaml touches, and the table"),
    ("python -m tasks.repro evaluate_recipe@wudi", "one stage with what it needs"),
    ("python -m tasks.repro --verbose", "with DVC's own lines, and all that libraries print"),
    ("dvc repro", "the same without the table: DVC's own command, with its options"),
)


PUSH = "Use `dvc push`"
"""How the line begins that DVC prints after each run, also where there is no remote to push to."""
AFTER_FAILURE = (
    "The same command goes on where it stopped. Until then `python -m tasks.leaderboard --partial` shows what is there."
)


def main() -> None:
    """Run DVC, and show what has come of it; its status is this command's."""
    parser = Arguments(
        prog="python -m tasks.repro",
        description="Run the stages of dvc.yaml that are out of date, one after another, each with a line of what it\n"
        "did, and print the leaderboard. Interrupted or failed, it goes on where it was.",
        reads="dvc.yaml, dvc.lock, params.yaml, and what the stages read",
        writes="what the stages write, and dvc.lock",
        examples=EXAMPLES,
        notes="`python -m flows.pipeline` runs the same stages side by side.",
    )
    parser.add_argument("targets", metavar="STAGE", nargs="*", help="stages to bring up to date; default: all")
    targets = parser.parse_args().targets
    check(targets)
    shows_table = not targets or "record" in targets
    if shows_table:
        os.environ[TABLE_FOLLOWS] = "1"
    if status := reproduce(targets):
        if status != INTERRUPTED:
            errors.print(AFTER_FAILURE, markup=False)
        sys.exit(status)
    if shows_table:
        show_leaderboard()


def check(targets: Sequence[str]) -> None:
    """Refuse before a stage runs what DVC would tell of in each stage's words, or in its own.

    Raises:
        WudiError: There is no graph here, params.yaml has a mistake, a target is no stage, or DVC cannot work here.
    """
    if not paths.GRAPH.is_file():
        raise WudiError(f"{paths.GRAPH}: not found; run this in the project's root folder")
    from tasks.params import load_params

    load_params()
    with repository() as repo:
        known = [str(stage.name) for stage in repo.index.stages if hasattr(stage, "name")] if targets else []
        known = list(dict.fromkeys([name.partition("@")[0] for name in known] + known))
        for target in targets:
            if target not in known and not is_target(repo, target):
                raise WudiError(f"{target}: no such stage; {nearest(target, known)}")


def is_target(repo: "Repo", target: str) -> bool:
    """Whether it is something else that DVC takes: an output, or a file of stages."""
    from dvc.exceptions import DvcException

    try:
        return bool(repo.stage.collect(target))
    except DvcException:
        return False


def reproduce(targets: Sequence[str]) -> int:
    """Run `dvc repro` in this process; its bars and errors are shown, its lines about each of its steps are not."""
    from dvc.cli import main as dvc
    from dvc.logger import set_loggers_level

    verbose = is_verbose()
    said = StringIO()  # by DVC itself and not by the stages
    with (
        Interruption.noticed() as interruption,
        set_loggers_level(logging.INFO if verbose else logging.WARNING),
        nullcontext() if verbose else redirect_stdout(said),
    ):
        status = dvc(["repro", *targets])
    for line in said.getvalue().splitlines():
        if not line.startswith(PUSH):
            step(line)
    if interruption.of_dvc:
        raise KeyboardInterrupt
    return INTERRUPTED if interruption.of_a_stage else status


def show_leaderboard() -> None:
    """Print the table, where there is one."""
    if not paths.LEADERBOARD.is_file():
        return
    from tasks.leaderboard.current import current
    from tasks.leaderboard.show import print_leaderboard
    from tasks.params import load_params

    table = current(load_params())
    console.print()
    print_leaderboard(console, table)


if __name__ == "__main__":
    command(main)
