"""Gather what the other stages wrote into the leaderboard, its pictures and the report: `python -m tasks.record`."""

import os
from argparse import Namespace

from tasks.console import TABLE_FOLLOWS, command, quiet, step, warn
from tasks.leaderboard import gather_files, write_results
from tasks.leaderboard.finding import banner, cautions, finding, grouping
from tasks.leaderboard.missing import PARTIAL_HELP
from tasks.orphans import remove_orphans
from tasks.params import load_params
from wudi.commands.arguments import Arguments

EXAMPLES = (
    ("python -m tasks.record", "what `dvc repro` runs, when every model is evaluated"),
    ("python -m tasks.record --partial", "by hand, after a failure; `dvc repro` makes it whole later"),
)


def main() -> None:
    """Write results/ from the scores of every model that params.yaml names."""
    options = parse()
    params = load_params()
    remove_orphans(params)
    board = gather_files(params, partial=options.partial)
    report = write_results(board, params)
    step(" ".join(part for part in (banner(board), finding(board), grouping(board), f"Report: {report}") if part))
    if TABLE_FOLLOWS not in os.environ:
        for text in cautions(board):
            warn(text)


def parse() -> Namespace:
    """The command line."""
    parser = Arguments(
        prog="python -m tasks.record",
        description="Gather scores, summaries and merge reports into the leaderboard, its pictures and the report.",
        reads="scores/, samples/, merged/*/merge.json, task_vectors/*/summary.json, results/similarity.json, timings/",
        writes="results/",
        examples=EXAMPLES,
    )
    parser.add_argument("--partial", action="store_true", help=PARTIAL_HELP)
    return parser.parse_args()


if __name__ == "__main__":
    quiet()
    command(main)
