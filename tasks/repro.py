"""Run what is out of date and print the leaderboard: `python -m tasks.repro`, which is what `make repro` does."""

import logging
import sys

from tasks import paths
from tasks.console import command, console, errors
from wudi.commands.arguments import Arguments, is_verbose
from wudi.errors import WudiError

EXAMPLES = (
    ("python -m tasks.repro", "all that an edit of params.yaml touches, and the table"),
    ("python -m tasks.repro evaluate_recipe@wudi", "one stage with what it needs"),
    ("python -m tasks.repro --verbose", "with DVC's own lines, and all that libraries print"),
    ("dvc repro", "the same without the table: DVC's own command, with its options"),
)


INTERRUPTED = 252
"""DVC's status after Ctrl-C."""
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
    if not paths.GRAPH.is_file():
        raise WudiError(f"{paths.GRAPH}: not found; run this in the project's root folder")
    if paths.PARAMS.is_file():
        from tasks.params import load_params

        load_params()  # its mistakes in words of their own, before DVC's about a graph that it cannot read
    if status := reproduce(targets):
        if status != INTERRUPTED:
            errors.print(AFTER_FAILURE, markup=False)
        sys.exit(status)
    if not targets or "record" in targets:
        show_leaderboard()


def reproduce(targets: list[str]) -> int:
    """Run `dvc repro` in this process; its bars and errors are shown, its lines about each of its steps are not."""
    from dvc.cli import main as dvc
    from dvc.logger import set_loggers_level

    with set_loggers_level(logging.INFO if is_verbose() else logging.WARNING):
        return dvc(["repro", *targets])


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
