"""Results on disk: each file appears whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tasks import paths
from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.table import as_csv, as_json, comparisons, metrics, tidy, wide

if TYPE_CHECKING:
    from tasks.params import Params


def write_results(board: Leaderboard, params: "Params") -> Path:
    """Write tables, metrics, pictures and the report; return the report's path.

    All but results/leaderboard.csv, which holds seconds, are the same bytes for the same inputs.
    """
    from tasks.leaderboard.pictures import pictures
    from tasks.leaderboard.report import render

    drawn = pictures(board)
    write(paths.SCORES_TABLE, as_csv(tidy(board), index=False))
    write(paths.COMPARISONS, as_csv(comparisons(board), index=False))
    write(paths.METRICS, as_json(metrics(board)))
    write_pictures(drawn)
    write_leaderboard(board)
    return write(paths.REPORT, render(board, params, drawn))


def write_pictures(drawn: Mapping[str, bytes]) -> None:
    """Write the pictures, and delete those of an earlier run that this one has not drawn."""
    for name, picture in drawn.items():
        write(paths.PLOTS / name, picture)
    for earlier in paths.PLOTS.glob("*.png"):
        if earlier.name not in drawn:
            earlier.unlink()


def write_leaderboard(board: Leaderboard) -> Path:
    """Write results/leaderboard.csv."""
    return write(paths.LEADERBOARD, as_csv(wide(board), index=True))


def write(path: Path, content: str | bytes) -> Path:
    """Put `content` under `path` by renaming a finished file; an interruption leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content.encode() if isinstance(content, str) else content)
    return partial.replace(path)
