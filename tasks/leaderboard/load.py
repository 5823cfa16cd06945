"""What the other stages wrote, as pandas tables; a missing or broken file is one line that says how to mend it."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from tasks import paths
from wudi.errors import WudiError

STAGES = {"base": "evaluate_base", "expert": "evaluate_expert@{name}", "recipe": "evaluate_recipe@{name}"}


def known_number(value: object) -> object:
    """lm-eval writes "N/A" for an error that it cannot estimate, as with a single question."""
    return None if isinstance(value, str) else value


class Evaluation(BaseModel):
    """One benchmark of a scores file; keys beyond these are left to whoever reads the file itself."""

    benchmark: str
    task: str
    metric: str
    filter: str | None = None
    score: float = Field(allow_inf_nan=False)
    stderr: Annotated[float | None, BeforeValidator(known_number)] = None
    questions: int
    questions_available: int | None = None
    num_fewshot: int | None = None
    limit: float | None = None
    chat_template: bool = False
    task_version: float | str | None = None
    sandbox: str | None = None
    backend: str | None = None
    device: str | None = None
    dtype: str | None = None
    batch_size: int | None = None
    warnings: list[str] = []
    model_sha256: str | None = None
    versions: dict[str, str] = {}


class ScoresFile(BaseModel):
    """scores/NAME.json, without the flat numbers that DVC shows."""

    evaluations: list[Evaluation]


def load_scores(kinds: Mapping[str, str], benchmarks: Iterable[str], *, partial: bool = False) -> pd.DataFrame:
    """Read every model's scores: a row for each model and benchmark, both in the order given.

    Args:
        kinds: Model name -> base, expert or recipe.
        benchmarks: What every model must have been measured on.
        partial: Whether scores may be missing.

    Raises:
        WudiError: A file is missing, broken, or lacks a benchmark.
    """
    wanted = list(benchmarks)
    rows = []
    for name, kind in kinds.items():
        if partial and not paths.scores(name).is_file():
            continue
        found = evaluations_of(name, kind)
        for benchmark in wanted:
            if benchmark in found:
                rows.append({"model": name, "kind": kind, **found[benchmark].model_dump()})
            elif not partial:
                raise missing(paths.scores(name), f"has no score on {benchmark}", kind, name)
    table = pd.DataFrame(rows, columns=["model", "kind", *Evaluation.model_fields])
    return table.astype({"score": float, "stderr": float, "questions_available": float})


def evaluations_of(name: str, kind: str) -> dict[str, Evaluation]:
    """A model's scores by benchmark."""
    path = paths.scores(name)
    try:
        parsed = ScoresFile.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise missing(path, "not found", kind, name) from None
    except ValidationError as error:
        mistake = error.errors()[0]
        where = ".".join(map(str, mistake["loc"]))
        raise unusable(path, f"not a scores file ({where}: {mistake['msg']})", kind, name) from None
    return {evaluation.benchmark: evaluation for evaluation in parsed.evaluations}


def load_seconds(stage: str, names: Iterable[str], column: str) -> pd.Series:
    """Read the wall-clock seconds of a stage by model; blank where nothing was measured.

    A clone that pulled its results has measured nothing: there, what results/leaderboard.csv says stays.
    """
    return or_earlier({name: read_json(paths.timing(stage, name)).get("seconds") for name in names}, column)


def load_speed(names: Iterable[str], column: str) -> pd.Series:
    """Read how many tokens a second each model generated, over all benchmarks; else as `load_seconds`."""
    speeds = {}
    for name in names:
        benchmarks = read_json(paths.timing("evaluate", name)).get("benchmarks", {}).values()
        known = [(spent["tokens"], spent["seconds"]) for spent in benchmarks if spent.get("tokens")]
        seconds = sum(spent for _, spent in known)
        speeds[name] = sum(tokens for tokens, _ in known) / seconds if seconds else None
    return or_earlier(speeds, column)


def or_earlier(measured: Mapping[str, float | None], column: str) -> pd.Series:
    """What was measured here and, where nothing was, what results/leaderboard.csv says."""
    values = pd.Series(measured, dtype=float, name=column)
    try:
        earlier = pd.read_csv(paths.LEADERBOARD, index_col="model")[column]
    except (OSError, ValueError, KeyError):
        return values
    return values.fillna(earlier.reindex(values.index).astype(float))


def load_interference(recipes: Iterable[str]) -> pd.DataFrame:
    """Read the interference of each merge: rows (recipe, tensor), L at the task vectors' `sum`, `mean`, and `result`.

    A recipe whose method does not look at interference has no rows.
    """
    points = ["sum", "mean", "result"]
    rows = {
        (name, tensor): [measured.get(f"interference_{point}") for point in points]
        for name in recipes
        for tensor, measured in read_json(paths.merged(name) / "merge.json").get("layers", {}).items()
    }
    index = pd.MultiIndex.from_tuples(list(rows), names=["recipe", "tensor"])
    table = pd.DataFrame(list(rows.values()), index, points, dtype=float)
    return table.replace([math.inf, -math.inf], math.nan).dropna()


def load_similarity(experts: Iterable[str]) -> dict[tuple[str, str], pd.DataFrame]:
    """Read the cosines between the experts' task vectors, experts × experts; empty where the file is not at hand.

    The keys say over which tensors: (all, ""), (kind, linear), ..., (module, q_proj), ... Cosines of other experts than
    these, from before params.yaml was edited, are as good as none.
    """
    names = list(experts)
    values = read_json(paths.SIMILARITY)
    if values.get("experts") != names:
        return {}
    matrices = {("all", ""): values["overall"]}
    matrices |= {("kind", kind): matrix for kind, matrix in values["kinds"].items()}
    matrices |= {("module", module): matrix for module, matrix in values["modules"].items()}
    return {key: pd.DataFrame(matrix, names, names, dtype=float) for key, matrix in matrices.items()}


def load_relative_norms(experts: Iterable[str]) -> pd.Series:
    """Read the size of each task vector relative to the base's weights; blank where its summary is not at hand."""
    norms = {name: read_json(paths.task_vector(name) / "summary.json").get("relative_norm") for name in experts}
    return pd.Series(norms, dtype=float, name="relative_norm")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object that the leaderboard can do without: empty when it is missing or broken."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def unusable(path: Path, problem: str, kind: str, name: str) -> WudiError:
    """A file that cannot be used, and the command that makes it."""
    return WudiError(f"{path}: {problem}; {remedy(kind, name)}")


def missing(path: Path, problem: str, kind: str, name: str) -> WudiError:
    """A file that is not there or not whole, without which the leaderboard can still be made."""
    return WudiError(f"{unusable(path, problem, kind, name)}, or see what is there with --partial")


def remedy(kind: str, name: str) -> str:
    """How the scores and the answers of a model are made."""
    return f"make it with: dvc repro {stage(kind, name)}"


def stage(kind: str, name: str) -> str:
    """The stage that evaluates a model."""
    return STAGES[kind].format(name=name)
