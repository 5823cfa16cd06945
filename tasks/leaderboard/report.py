"""results/report.html: one file that opens offline, the answer first."""

import base64
import json
import math
from collections.abc import Hashable, Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from tasks.leaderboard import finding, words
from tasks.leaderboard.compare import LEVEL
from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.load import load_interference, load_relative_norms, load_similarity
from tasks.leaderboard.strata import MEAN

if TYPE_CHECKING:
    from tasks.params import Params

FOLDER = Path(__file__).parent


def render(board: Leaderboard, params: "Params", drawn: Mapping[str, bytes]) -> str:
    """Fill the template; `drawn` are the pictures, which go into the page itself."""
    return fill(
        FOLDER / "report.html.j2",
        finding=finding.finding(board),
        warnings=finding.cautions(board),
        grouping=finding.grouping(board),
        benchmarks=board.benchmarks,
        first=board.first,
        models=model_rows(board),
        comparisons=comparison_rows(board),
        recipes=recipe_rows(board, params),
        sources=source_rows(board, params),
        similarities=similarity_rows(board),
        tasks=task_rows(board),
        conditions=conditions(board.scores),
        versions=versions(board.scores),
        pictures={name: data_uri(picture) for name, picture in drawn.items()},
    )


def fill(template: Path, **values: Any) -> str:
    """A page from its template, which may include report.css: one file, with everything in it."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([template.parent, FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template.name).render(**values)


def model_rows(board: Leaderboard) -> list[dict[str, Any]]:
    """The leaderboard: scores in percent and means, each ± its standard error, and what the paired test says."""
    scores, errors = board.wide("score"), board.wide("stderr")
    groups = board.letters
    rows = []
    for name in board.summary.index.astype(str):
        row = board.summary.loc[name]
        rows.append(
            {
                "name": name,
                "kind": row["kind"],
                "rank": "" if pd.isna(row["rank"]) else row["rank"],
                "mark": "first" if name in board.leaders and len(board.recipes) > 1 else "",
                "group": groups.get(name, ""),
                "scores": [
                    {"score": words.percent(score), "stderr": words.percent(error)}
                    for score, error in zip(scores.loc[name], errors.loc[name], strict=True)
                ],
                "mean_score": words.percent(row["mean_score"]),
                "mean_normalised": words.number(row["mean_normalised"]),
                "mean_normalised_stderr": words.number(row["mean_normalised_stderr"]),
            }
        )
    return rows


def comparison_rows(board: Leaderboard) -> list[dict[str, Any]]:
    """The first recipe against every other model: by mean normalised scores, and by the score on each benchmark."""
    cells = benchmark_cells(board)
    kinds = {str(name): str(kind) for name, kind in board.summary["kind"].items()}
    return [
        {
            "other": words.label(str(other), kinds[str(other)]),
            "kind": kinds[str(other)],
            "difference": words.number(row["difference"]),
            "interval": words.interval(row["low"], row["high"]),
            "first_only": row["first_only"],
            "second_only": row["second_only"],
            "p": words.probability(row["p_adjusted"]),
            "verdict": verdict(row["p_adjusted"]),
            "benchmarks": cells[str(other)],
        }
        for other, row in board.against_first.iterrows()
    ]


def verdict(p: float) -> str:
    """What the paired test says of two models."""
    if math.isnan(p):
        return "not compared"
    return "told apart" if p < LEVEL else "cannot be told apart"


def benchmark_cells(board: Leaderboard) -> dict[str, list[dict[str, Any]]]:
    """How far the first recipe is ahead of each other model on each benchmark, and whether that is told apart."""
    pairs = board.comparisons[(board.comparisons["first"] == board.first) & (board.comparisons["benchmark"] != MEAN)]
    cells: dict[str, list[dict[str, Any]]] = {}
    for row in pairs.to_dict("records"):
        cell = {"difference": words.signed(row["difference"]), "apart": row["p_adjusted"] < LEVEL}
        cells.setdefault(row["second"], []).append(cell)
    return cells


def recipe_rows(board: Leaderboard, params: "Params") -> list[dict[str, Any]]:
    """Each recipe's settings with every default, the interference it left, and its checkpoint's hash."""
    sums = load_interference(board.recipes).groupby(level="recipe").sum().reindex(board.recipes)
    left = 100 * sums["result"] / sums["sum"].where(sums["sum"] > 0)
    hashes = board.scores.groupby("model")["model_sha256"].first()
    rows = []
    for name in board.recipes:
        settings = params.recipes[name].as_dict()
        method = settings.pop("method")
        rows.append(
            {
                "name": name,
                "method": method,
                "settings": [f"{key}: {json.dumps(value)}".replace('"', "") for key, value in settings.items()],
                "interference": words.number(left[name]),
                "sha256": words.text(hashes[name])[:12],
            }
        )
    return rows


def source_rows(board: Leaderboard, params: "Params") -> list[dict[str, str]]:
    """Where the base and the experts come from."""
    norms = load_relative_norms(params.experts)
    models = {"base": params.base, **params.experts}
    return [
        {
            "name": name,
            "source": model.source,
            "revision": words.text(model.revision),
            "expert_in": ", ".join(benchmark for benchmark in board.benchmarks if params.expert_in(benchmark) == name),
            "norm": words.number(100 * norms.get(name, float("nan"))),
        }
        for name, model in models.items()
    ]


def similarity_rows(board: Leaderboard) -> list[dict[str, str]]:
    """Over the whole model, each kind of tensor and each module: the mean cosine of two experts, and the extremes."""
    pairs = list(combinations(board.experts, 2))
    rows = []
    for (by, name), cosines in load_similarity(board.experts).items() if pairs else ():
        values = [float(cosines.to_numpy()[row, column]) for row, column in combinations(range(len(cosines)), 2)]
        least, most = min(values), max(values)
        rows.append(
            {
                "by": by,
                "name": name or "all",
                "mean": words.cosine(sum(values) / len(values)),
                "least": words.cosine(least),
                "least_alike": words.listing(list(pairs[values.index(least)])),
                "most": words.cosine(most),
                "most_alike": words.listing(list(pairs[values.index(most)])),
            }
        )
    return rows


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


def versions(scores: pd.DataFrame) -> dict[str, str]:
    """The libraries that measured, with the distinct versions of each."""
    table = pd.DataFrame(list(scores["versions"]))
    return {str(name): distinct(table[name]) for name in sorted(table.columns)}


def distinct(values: Iterable[object]) -> str:
    """The different values in a column, in a fixed order."""
    return ", ".join(sorted({words.text(value) for value in values}))


def data_uri(picture: bytes) -> str:
    """A PNG inside the page."""
    return "data:image/png;base64," + base64.b64encode(picture).decode()
