"""Print the leaderboard: `python -m tasks.leaderboard`."""

from argparse import Namespace
from io import StringIO

import pandas as pd

from tasks import paths
from tasks.console import command, console, quiet
from tasks.leaderboard.gather import gather_files
from tasks.leaderboard.show import print_leaderboard
from tasks.leaderboard.table import as_csv, wide
from tasks.leaderboard.write import write_leaderboard
from tasks.params import Params, load_params
from wudi.commands.arguments import Arguments
from wudi.errors import WudiError

EXAMPLES = (
    ("python -m tasks.leaderboard", "the table again"),
    ("python -m tasks.leaderboard --partial", "of what is there, while stages run or after one failed"),
)


def main() -> None:
    """Print the leaderboard."""
    options = parse()
    print_leaderboard(console, current(load_params(), partial=options.partial))


def parse() -> Namespace:
    """The command line."""
    parser = Arguments(
        prog="python -m tasks.leaderboard",
        description="Print the leaderboard.",
        reads="scores/, samples/ and timings/; in a clone without scores, results/leaderboard.csv",
        writes="results/leaderboard.csv; with --partial, only where nothing is missing",
        examples=EXAMPLES,
    )
    partial_help = "leave out what is missing, such as a recipe that failed, and say so"
    parser.add_argument("--partial", action="store_true", help=partial_help)
    return parser.parse_args()


def current(params: Params, *, partial: bool = False) -> pd.DataFrame:
    """results/leaderboard.csv, written anew from the scores, which may be newer than it (DVC can restore them).

    A clone that has pulled no scores shows the file as it is. What is missing of a partial one may be restored to what
    it was, so that DVC finds nothing to record again: one is not written.
    """
    try:
        board = gather_files(params, partial=partial)
        if board.missing:
            return pd.read_csv(StringIO(as_csv(wide(board), index=True)), index_col="model")
        write_leaderboard(board)
    except WudiError:
        if any(paths.SCORES.glob("*.json")) or not paths.LEADERBOARD.is_file():
            raise
    return pd.read_csv(paths.LEADERBOARD, index_col="model")


if __name__ == "__main__":
    quiet()
    command(main)
