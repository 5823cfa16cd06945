"""Print the leaderboard: `python -m tasks.leaderboard`."""

import pandas as pd

from tasks import paths
from tasks.console import command, console, quiet
from tasks.leaderboard.gather import gather_files
from tasks.leaderboard.show import print_leaderboard
from tasks.leaderboard.write import write_leaderboard
from tasks.params import Params, load_params
from wudi.errors import WudiError


def main() -> None:
    """Print the leaderboard."""
    print_leaderboard(console, current(load_params()))


def current(params: Params) -> pd.DataFrame:
    """results/leaderboard.csv, written anew from the scores, which may be newer than it (DVC can restore them).

    A clone that has pulled no scores shows the file as it is.
    """
    try:
        write_leaderboard(gather_files(params))
    except WudiError:
        if any(paths.SCORES.glob("*.json")) or not paths.LEADERBOARD.is_file():
            raise
    return pd.read_csv(paths.LEADERBOARD, index_col="model")


if __name__ == "__main__":
    quiet()
    command(main)
