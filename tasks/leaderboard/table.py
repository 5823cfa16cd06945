"""The leaderboard as tables for people, pandas and DVC."""

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.load import load_seconds, load_speed

DECIMALS = 6
SCORES_COLUMNS = ["model", "kind", "benchmark", "task", "metric", "questions", "score", "stderr", "normalised"]

COMPARISONS_COLUMNS = [
    *("family", "first", "second", "benchmark", "difference", "low", "high"),
    *("questions", "first_only", "second_only", "p", "p_adjusted", "test"),
]


def tidy(board: Leaderboard) -> pd.DataFrame:
    """results/scores.csv: a row for each model and benchmark, in the order of params.yaml."""
    return board.scores[SCORES_COLUMNS].round(DECIMALS)


def wide(board: Leaderboard) -> pd.DataFrame:
    """results/leaderboard.csv: a row for each model, recipes best first; the only table with seconds in it.

    `warnings` has those about the model, as a list in JSON; `missing` what a partial leaderboard lacks of it.
    """
    summary = board.summary
    columns: dict[str, pd.Series] = {
        "kind": summary["kind"],
        "rank": summary["rank"],
        "group": column(board, board.letters),
    }
    for benchmark in board.benchmarks:
        for value in ("score", "stderr", "normalised"):
            columns[f"{benchmark}_{value}"] = board.wide(value)[benchmark]
    columns |= {name: summary[name] for name in ("mean_score", "mean_normalised", "mean_normalised_stderr")}
    columns["p_against_first"] = board.against_first["p_adjusted"].reindex(summary.index)
    # what has no scores may still have the seconds of an earlier run
    measured = [name for name in summary.index if name in set(board.scores["model"])]
    merged = [name for name in board.recipes if name in measured]
    columns["merge_seconds"] = load_seconds("merge", merged, "merge_seconds").reindex(summary.index).round(2)
    columns["evaluate_seconds"] = load_seconds("evaluate", measured, "evaluate_seconds").reindex(summary.index).round(2)
    columns["tokens_per_second"] = load_speed(measured, "tokens_per_second").reindex(summary.index).round(1)
    columns["missing"] = column(board, missing_by_model(board))
    columns["warnings"] = column(board, warnings_by_model(board))
    digits = columns["p_against_first"].map(significant)
    return pd.DataFrame(columns).rename_axis("model").round(DECIMALS).assign(p_against_first=digits)


def column(board: Leaderboard, texts: Mapping[str, str]) -> pd.Series:
    """A text for each model, blank where there is none."""
    return pd.Series(texts, dtype=object).reindex(board.summary.index)


def warnings_by_model(board: Leaderboard) -> dict[str, str]:
    """The warnings about each model, so that results/leaderboard.csv alone can show them."""
    by_model: dict[str, list[str]] = {}
    for text, models in board.warnings.items():
        for model in models:
            by_model.setdefault(model, []).append(text)
    return {model: json.dumps(texts, ensure_ascii=False) for model, texts in by_model.items()}


def missing_by_model(board: Leaderboard) -> dict[str, str]:
    """What each model lacks, and the command that makes it."""
    by_model: dict[str, list[str]] = {}
    for gap in board.missing:
        by_model.setdefault(gap.model, []).append(gap.why)
    commands = {gap.model: gap.command for gap in board.missing}
    return {model: f"{'; '.join(reasons)}; make it with: {commands[model]}" for model, reasons in by_model.items()}


def comparisons(board: Leaderboard) -> pd.DataFrame:
    """results/comparisons.csv: a row for each pair of models and number that they are compared by.

    Differences have so many decimals, and p values, which may be tiny, so many digits.
    """
    points = {name: board.comparisons[name].round(DECIMALS) + 0.0 for name in ("difference", "low", "high")}
    chances = {name: board.comparisons[name].map(significant) for name in ("p", "p_adjusted")}
    return board.comparisons.assign(**points, **chances)[COMPARISONS_COLUMNS]


def significant(value: float) -> float:
    """A number as its first few digits."""
    return float(f"{value:.{DECIMALS}g}")


def metrics(board: Leaderboard) -> dict[str, Any]:
    """results/metrics.json, what `dvc metrics diff` compares; undefined numbers are left out.

    Recipes stand in the order of their names, so that a change of rank shows as changed numbers alone. `normalised` is
    in percent of the experts, `score` the mean of scores between 0 and 1, as in the files that they come from. Only
    those of a partial leaderboard say `missing`, of how many models something is.
    """
    means = {name: rounded(board.summary["mean_normalised"][name]) for name in sorted(board.recipes)}
    scores = {name: rounded(board.summary["mean_score"][name]) for name in sorted(board.recipes)}
    first = board.first
    values: dict[str, Any] = {}
    if first is not None:
        values["first"] = {
            "recipe": first,
            "normalised": means[first],
            "score": scores[first],
            "not_told_apart": len(board.not_told_apart),
        }
    values["benchmarks_in_mean"] = len(board.benchmarks_in_mean)
    values["warnings"] = len(board.warnings)
    if board.missing:
        values["missing"] = len({gap.model for gap in board.missing})
    values["normalised"] = {name: value for name, value in means.items() if not math.isnan(value)}
    values["score"] = {name: value for name, value in scores.items() if not math.isnan(value)}
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
