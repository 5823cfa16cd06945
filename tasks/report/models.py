"""The leaderboard: a row for each model, recipes best first, then the base and the experts."""

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.load import load_seconds, load_speed
from tasks.leaderboard.normalise import Z_95
from tasks.report import cell

if TYPE_CHECKING:
    from tasks.params import Params


def model_rows(board: Leaderboard, params: "Params") -> list[dict[str, Any]]:
    """Scores with their standard errors, means with their 95 % intervals, what it cost, and the recipes' groups."""
    scores, errors = board.wide("score"), board.wide("stderr")
    letters, spent = board.letters, spending(board)
    own = {(params.expert_in(benchmark), benchmark) for benchmark in board.benchmarks}
    rows = []
    for name in board.summary.index.astype(str):
        row = board.summary.loc[name]
        rows.append(
            {
                "name": name,
                "kind": row["kind"],
                "rank": "" if pd.isna(row["rank"]) else int(row["rank"]),
                "ahead": name in board.leaders and len(board.recipes) > 1,
                "group": letters.get(name, ""),
                "normalised": normalised(row["mean_normalised"], row["mean_normalised_stderr"]),
                "scores": [
                    cell.score(score, error, marked=(name, benchmark) in own)
                    for benchmark, score, error in zip(
                        board.benchmarks, scores.loc[name], errors.loc[name], strict=True
                    )
                ],
                "mean": cell.mean(100 * row["mean_score"]),
                **costs(spent.loc[name]),
            }
        )
    return rows


def costs(spent: pd.Series) -> dict[str, cell.Cell]:
    """The last columns of a row: seconds of the merge and of the evaluation, and speed."""
    return {
        "merge": cell.seconds(spent["merge"]),
        "evaluate": cell.seconds(spent["evaluate"]),
        "speed": cell.count(spent["speed"]),
    }


def normalised(value: float, error: float) -> cell.Cell:
    """A mean normalised score with its 95 % interval, which ends at 0, as scores do."""
    if math.isnan(error):
        return cell.mean(value)
    return cell.mean(value, max(0.0, value - Z_95 * error), value + Z_95 * error)


def spending(board: Leaderboard) -> pd.DataFrame:
    """Seconds of the merge and of the evaluation, and tokens a second, by model; blank where nothing was measured."""
    models = board.summary.index
    return pd.DataFrame(
        {
            "merge": load_seconds("merge", board.recipes, "merge_seconds").reindex(models),
            "evaluate": load_seconds("evaluate", models, "evaluate_seconds"),
            "speed": load_speed(models, "tokens_per_second"),
        },
        index=models,
    )
