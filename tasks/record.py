"""Gather what the other stages wrote into the leaderboard, its pictures and the report: `python -m tasks.record`."""

from argparse import ArgumentParser

from tasks.console import command, quiet, step, warn
from tasks.leaderboard import gather_files, write_results
from tasks.leaderboard.finding import cautions, finding, grouping
from tasks.orphans import remove_orphans
from tasks.params import load_params


def main() -> None:
    """Write results/ from the scores of every model that params.yaml names."""
    ArgumentParser(description=main.__doc__, epilog="example: python -m tasks.record").parse_args()
    params = load_params()
    remove_orphans(params)
    board = gather_files(params)
    report = write_results(board, params)
    step(" ".join(part for part in (finding(board), grouping(board), f"Report: {report}") if part))
    for text in cautions(board):
        warn(text)


if __name__ == "__main__":
    quiet()
    command(main)
