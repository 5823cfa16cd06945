"""Results on disk: each file appears whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tasks import paths
from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.table import as_csv, as_json, comparisons, metrics, tidy, wide

if TYPE_CHECKING:
    from tasks.params import Params
    from tasks.pictures import Picture


def write_results(board: Leaderboard, params: "Params") -> Path:
    """Write tables, metrics, pictures and the report; return the report's path.

    All but results/leaderboard.csv and the report, which hold seconds, are the same bytes for the same inputs.
    """
    from tasks.pictures import draw
    from tasks.report.page import render

    drawn = draw(board)
    report = render(board, params, drawn)  # before anything is written over what it compares with
    write(paths.SCORES_TABLE, as_csv(tidy(board), index=False))
    write(paths.COMPARISONS, as_csv(comparisons(board), index=False))
    write(paths.METRICS, as_json(metrics(board)))
    write_pictures(drawn)
    write_leaderboard(board)
    return write(paths.REPORT, report)


def write_pictures(drawn: Mapping[str, "Picture"]) -> None:
    """Write the pictures that have a file, and delete those of an earlier run that this one has not drawn."""
    files = {f"{name}.png": picture.png for name, picture in drawn.items() if picture.png}
    for file, png in files.items():
        write(paths.PLOTS / file, png)
    for earlier in paths.PLOTS.glob("*.png"):
        if earlier.name not in files:
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
