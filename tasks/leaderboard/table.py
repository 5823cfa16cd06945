"""The leaderboard as tables for people, pandas and DVC."""

import json
import math
from typing import Any

import pandas as pd

from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.load import load_seconds

DECIMALS = 6
SCORES_COLUMNS = ["model", "kind", "benchmark", "task", "metric", "questions", "score", "stderr", "normalised"]


def tidy(board: Leaderboard) -> pd.DataFrame:
    """results/scores.csv: a row for each model and benchmark, in the order of params.yaml."""
    return board.scores[SCORES_COLUMNS].round(DECIMALS)


def wide(board: Leaderboard) -> pd.DataFrame:
    """results/leaderboard.csv: a row for each model, recipes best first; the only table with seconds in it."""
    summary = board.summary
    columns: dict[str, pd.Series] = {"kind": summary["kind"], "rank": summary["rank"]}
    for benchmark in board.benchmarks:
        for value in ("score", "stderr", "normalised"):
            columns[f"{benchmark}_{value}"] = board.wide(value)[benchmark]
    columns |= {name: summary[name] for name in ("mean_score", "mean_normalised", "mean_normalised_stderr")}
    columns["p_against_best"] = board.against_best["p_adjusted"].reindex(summary.index)
    columns["merge_seconds"] = load_seconds("merge", board.recipes, "merge_seconds").reindex(summary.index).round(2)
    columns["evaluate_seconds"] = load_seconds("evaluate", summary.index, "evaluate_seconds").round(2)
    return pd.DataFrame(columns).rename_axis("model").round(DECIMALS)


def metrics(board: Leaderboard) -> dict[str, Any]:
    """results/metrics.json, what `dvc metrics diff` compares; undefined numbers are left out.

    Recipes stand in the order of their names, so that a change of rank shows as changed numbers alone.
    """
    means = {name: rounded(board.summary["mean_normalised"][name]) for name in sorted(board.recipes)}
    scores = {name: rounded(board.summary["mean_score"][name]) for name in sorted(board.recipes)}
    best = board.best
    values: dict[str, Any] = {}
    if best is not None:
        values["best"] = {
            "recipe": best,
            "normalised": means[best],
            "score": scores[best],
            "not_told_apart": len(board.not_told_apart),
        }
    values["normalised"] = {name: value for name, value in means.items() if not math.isnan(value)}
    values["score"] = scores
    return values


def rounded(value: float) -> float:
    """A number as metrics.json shows it."""
    return round(float(value), 4)


def as_csv(table: pd.DataFrame, *, index: bool) -> str:
    """A table as CSV, with the same line ends on every system."""
    return str(table.to_csv(index=index, lineterminator="\n"))


def as_json(values: dict[str, Any]) -> str:
    """JSON for people and for `git diff`."""
    return json.dumps(values, indent=2, allow_nan=False) + "\n"
