"""The leaderboard's file brought up to date with the scores that lie there."""

import os
from io import StringIO

import pandas as pd

from tasks import paths
from tasks.leaderboard.gather import gather_files
from tasks.leaderboard.table import as_csv, wide
from tasks.leaderboard.write import write_leaderboard
from tasks.params import Params
from wudi.errors import WudiError


def current(params: Params, *, partial: bool = False) -> pd.DataFrame:
    """results/leaderboard.csv, written anew from the scores, which may be newer than it (DVC can restore them).

    A clone that has pulled no scores shows the file as it is. What is missing of a partial one may be restored to what
    it was, so that DVC finds nothing to record again: one is not written. Nor is one in a folder that may only be read.
    """
    try:
        board = gather_files(params, partial=partial)
    except WudiError:
        if any(paths.SCORES.glob("*.json")) or not paths.LEADERBOARD.is_file():
            raise
        return pd.read_csv(paths.LEADERBOARD, index_col="model")
    if not board.missing and os.access(paths.RESULTS if paths.RESULTS.exists() else ".", os.W_OK):
        write_leaderboard(board)
    return pd.read_csv(StringIO(as_csv(wide(board), index=True)), index_col="model")
