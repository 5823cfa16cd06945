"""The scores at one revision, from the best that is at hand there.

The scores files say with what each score was measured, and DVC's cache has them for what was computed or pulled here.
Else results/leaderboard.csv in git has scores with standard errors, and results/metrics.json the recipes' means.
"""

import io
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from pydantic import ValidationError

from tasks import paths
from tasks.leaderboard.conditions import limited
from tasks.leaderboard.load import Evaluation, ScoresFile
from tasks.leaderboard.normalise import normalise
from tasks.versions.tree import Tree, section
from wudi.errors import WudiError

IDENTITY = ["model", "kind"]
COLUMNS = [*IDENTITY, *Evaluation.model_fields]


class NoMetrics(WudiError):
    """Nothing was recorded at a revision, or what was is not at hand."""


def kinds_of(params: Mapping[str, Any]) -> dict[str, str]:
    """Every model of a params.yaml -> base, expert or recipe."""
    experts, recipes = (dict.fromkeys(section(params, f"{kind}s"), kind) for kind in ("expert", "recipe"))
    return ({"base": "base"} if "base" in params else {}) | experts | recipes


def read_scores(tree: Tree) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The scores by model and benchmark, and the means by model.

    The scores have the columns of the scores files, and those that are not known blank: `task` is, where a score is
    from results/leaderboard.csv. `limit` is blank where it leaves no question out. The means are blank for models that
    lack a benchmark which others have.

    Raises:
        WudiError: There are no scores at all, or a file is broken.
    """
    kinds = kinds_of(tree.params)
    rows = [row for model, kind in kinds.items() for row in from_file(tree, model, kind)]
    known = {row["model"] for row in rows}
    rows += [row for row in from_leaderboard(tree, kinds) if row["model"] not in known]
    if not rows:
        return pd.DataFrame(columns=[*COLUMNS, "normalised"]), from_metrics(tree)
    return with_means(pd.DataFrame(rows, columns=COLUMNS), tree.params)


def with_means(rows: pd.DataFrame, params: Mapping[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The scores by model and benchmark, as `read_scores` gives them, and the means by model.

    Args:
        rows: With the columns of the scores files; others, and rows without a score, do not count.
        params: params.yaml, for who is the expert in what.
    """
    numbers = {"score": float, "stderr": float, "questions": float, "questions_available": float, "limit": float}
    scores = rows.reindex(columns=COLUMNS).astype(numbers).dropna(subset="score").reset_index(drop=True)
    scores["limit"] = scores["limit"].where(limited(scores))
    scores = normalise(scores, experts_of(params, scores))
    return scores, means(scores)


def from_file(tree: Tree, model: str, kind: str) -> Iterator[dict[str, Any]]:
    """The rows of a scores file that is at hand."""
    path = paths.scores(model)
    content = tree.read(path)
    if content is None:
        return
    try:
        parsed = ScoresFile.model_validate_json(content)
    except ValidationError as error:
        mistake = error.errors()[0]
        where = ".".join(map(str, mistake["loc"]))
        raise WudiError(f"{tree.label}: {path} is not a scores file ({where}: {mistake['msg']})") from None
    for evaluation in parsed.evaluations:
        yield {"model": model, "kind": kind, **vars(evaluation)}


def from_leaderboard(tree: Tree, kinds: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The rows that results/leaderboard.csv gives for the models of params.yaml."""
    content = tree.tracked(paths.LEADERBOARD)
    if content is None:
        return
    try:
        table = pd.read_csv(io.BytesIO(content), index_col="model")
        for model, row in table.iterrows():
            if model in kinds or not kinds:
                for benchmark in scored(table):
                    errors = {"score": row[f"{benchmark}_score"], "stderr": row[f"{benchmark}_stderr"]}
                    yield {"model": model, "kind": row["kind"], "benchmark": benchmark, **errors}
    except (ValueError, KeyError) as error:
        raise WudiError(f"{tree.label}: {paths.LEADERBOARD} is no leaderboard ({error})") from None


def scored(table: pd.DataFrame) -> list[str]:
    """The benchmarks of a leaderboard."""
    names = [str(column).removesuffix("_score") for column in table if str(column).endswith("_score")]
    return [name for name in names if f"{name}_stderr" in table]


def experts_of(params: Mapping[str, Any], scores: pd.DataFrame) -> dict[str, str]:
    """Benchmark -> its declared expert, where that has been measured on it."""
    known = set(zip(scores["benchmark"], scores["model"], strict=True))
    experts = section(params, "experts")
    named = {name: section(experts, name).get("benchmarks") or () for name in experts}
    declared = {benchmark: name for name, benchmarks in named.items() for benchmark in benchmarks}
    return {benchmark: name for benchmark, name in declared.items() if (benchmark, name) in known}


def means(scores: pd.DataFrame) -> pd.DataFrame:
    """The mean score and the mean normalised score of each model that has every benchmark."""
    by_model = scores.groupby("model", sort=False)
    summary = by_model.agg(kind=("kind", "first"), score=("score", "mean"), normalised=("normalised", "mean"))
    complete = by_model["benchmark"].nunique() == scores["benchmark"].nunique()
    summary.loc[~complete, ["score", "normalised"]] = math.nan
    return summary


def from_metrics(tree: Tree) -> pd.DataFrame:
    """The recipes' means that results/metrics.json gives.

    Raises:
        NoMetrics: It is not there.
        WudiError: It is broken.
    """
    content = tree.read(paths.METRICS)
    if content is None:
        wanted = f"{paths.LEADERBOARD}, {paths.METRICS} nor scores in DVC's cache"
        raise NoMetrics(f"{tree.label}: no metrics there, neither {wanted}; run `dvc repro` at it, or `dvc fetch` them")
    try:
        values = json.loads(content)
        table = pd.DataFrame({"score": values["score"], "normalised": values.get("normalised", {})}, dtype=float)
    except (ValueError, KeyError, TypeError) as error:
        raise WudiError(f"{tree.label}: {paths.METRICS} has no scores ({error!r})") from None
    table.insert(0, "kind", "recipe")
    return table.rename_axis("model")
