"""How scores were measured: tasks, backends, and the versions of the libraries."""

from collections.abc import Hashable, Iterable

import pandas as pd

from tasks import paths
from tasks.leaderboard import words
from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.load import read_json


def task_rows(board: Leaderboard) -> list[dict[Hashable, str]]:
    """How each benchmark was measured: as a rule the same for every model, so the distinct values are shown."""
    columns = ["task", "task_version", "metric", "filter", "num_fewshot", "questions", "limit", "chat_template"]
    by_benchmark = board.scores.groupby("benchmark", sort=False)
    table = pd.DataFrame({column: by_benchmark[column].agg(distinct) for column in [*columns, "sandbox"]})
    return table.reset_index().to_dict("records")


def conditions(scores: pd.DataFrame) -> dict[str, str]:
    """Where and how models generated, as far as scores files say; distinct values where models differ."""
    names = {"backend": "backend", "device": "device", "dtype": "data type", "batch_size": "batch size"}
    values = {name: distinct(scores[column]) for column, name in names.items()}
    return {name: value for name, value in values.items() if value != words.BLANK}


def versions(board: Leaderboard) -> dict[str, str]:
    """The libraries that merged and measured, with the distinct versions of each."""
    found: dict[str, set[str]] = {}
    merges = [read_json(paths.merged(name) / "merge.json").get("versions", {}) for name in board.recipes]
    for known in (*board.scores["versions"], *merges):
        for package, version in known.items():
            found.setdefault(package, set()).add(str(version))
    return {package: distinct(found[package]) for package in sorted(found)}


def hardware(board: Leaderboard) -> dict[str, str]:
    """What merged and what evaluated, as the timings say; without what was computed elsewhere."""
    stages = {"merge": board.recipes, "evaluate": list(board.summary.index.astype(str))}
    found = {}
    for stage, models in stages.items():
        timed = [read_json(paths.timing(stage, name)) for name in models]
        known = {str(timing["hardware"]) for timing in timed if timing.get("hardware")}
        if known:
            found[f"{stage}d on"] = "; ".join(sorted(known))
    return found


def distinct(values: Iterable[object]) -> str:
    """The different values in a column, in a fixed order."""
    return ", ".join(sorted({words.text(value) for value in values}))
