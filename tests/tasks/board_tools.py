"""What tests of the leaderboard do with the small project: edit its scores, look at the terminal."""

import io
import json
import shutil
from typing import Any

import pandas as pd
from rich.console import Console

from tasks import paths
from tasks.leaderboard.show import print_leaderboard


def edit_scores(name: str, **values: Any) -> None:
    """Write the same into every entry of a scores file."""
    content = json.loads(paths.scores(name).read_text())
    for evaluation in content["evaluations"]:
        evaluation.update(values)
    paths.scores(name).write_text(json.dumps(content))


def drop(name: str, benchmark: str | None = None) -> None:
    """Take a model's scores and samples away: of one benchmark, or all that DVC deletes before a stage runs."""
    if benchmark is None:
        paths.scores(name).unlink()
        shutil.rmtree(paths.samples(name))
        return
    content = json.loads(paths.scores(name).read_text())
    content["evaluations"] = [entry for entry in content["evaluations"] if entry["benchmark"] != benchmark]
    paths.scores(name).write_text(json.dumps(content))
    (paths.samples(name) / f"{benchmark}.jsonl.gz").unlink()


def printed(table: pd.DataFrame, width: int = 80, *, terminal: bool = False) -> str:
    """What `print_leaderboard` writes."""
    out = io.StringIO()
    print_leaderboard(Console(file=out, width=width, force_terminal=terminal, highlight=False, soft_wrap=True), table)
    return out.getvalue()
