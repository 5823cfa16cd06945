"""A model card with what the model scored: the Hub's evaluation results, and a table for people."""

import csv
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wudi.errors import WudiError

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

DATASETS: Mapping[str, tuple[str, str, str | None]] = {
    "gsm8k": ("GSM8K", "openai/gsm8k", "main"),
    "minerva_math": ("MATH", "EleutherAI/hendrycks_math", None),
    "minerva_math500": ("MATH-500", "HuggingFaceH4/MATH-500", None),
    "humaneval": ("HumanEval", "openai/openai_humaneval", None),
    "mbpp": ("MBPP", "google-research-datasets/mbpp", "full"),
}
"""Title, repository and configuration of the data behind a task of lm-eval; other tasks stand for themselves."""
NEEDED = {"benchmark", "task", "metric", "score", "model_sha256"}
COLUMNS = ("benchmark", "task", "few-shot", "metric", "score", "standard error", "questions", "normalised")
BEFORE = "## Models\n"


@dataclass(frozen=True)
class Scores:
    """What one model scored on each benchmark, and as a percentage of each benchmark's expert where that is known."""

    evaluations: Sequence[Mapping[str, Any]]
    normalised: Mapping[str, float]


def read_scores(file: Path, outputs: Mapping[str, str], results: Path | None = None) -> Scores:
    """Read the score file of a merged model, whose weights have these hashes, and its row of a leaderboard.

    Raises:
        WudiError: A file is missing or of another kind, or the scores are those of other weights.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        evaluations = content["evaluations"]
        usable = bool(evaluations) and all(map(is_score, evaluations))
    except OSError as error:
        raise WudiError(f"{file}: cannot be read ({error.strerror}); takes scores/NAME.json") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        usable = False
    if not usable:
        raise WudiError(f"{file}: holds no scores; takes scores/NAME.json, as `python -m tasks.evaluate` writes it")
    if any(entry["model_sha256"] != model_sha256(outputs) for entry in evaluations):
        raise WudiError(
            f"{file}: holds the scores of other weights than these; evaluate this model (`python -m tasks.evaluate "
            "recipe NAME`), or name its own scores"
        )
    return Scores(evaluations, {} if results is None else normalised_scores(results, file.stem))


def is_score(entry: Mapping[str, Any]) -> bool:
    """Whether this is what one benchmark gave."""
    return entry.keys() >= NEEDED and isinstance(entry["score"], int | float)


def model_sha256(outputs: Mapping[str, str]) -> str:
    """The hash of a model's weights, to which scores belong: of the one file, or of the hashes of all."""
    hashes = [outputs[name] for name in sorted(outputs)]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def normalised_scores(results: Path, model: str) -> dict[str, float]:
    """A model's normalised scores from a leaderboard: by benchmark, and under `mean`.

    Raises:
        WudiError: The file is missing or no leaderboard, or the model is not in it.
    """
    try:
        with results.open(encoding="utf-8", newline="") as stream:
            rows = {row.get("model"): row for row in csv.DictReader(stream)}
    except (OSError, ValueError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise WudiError(f"{results}: cannot be read ({why}); takes results/leaderboard.csv") from None
    if model not in rows:
        known = ", ".join(str(name) for name in rows if name) or "none"
        raise WudiError(f"{results}: has no row of {model}, after which the score file is named; it has {known}")
    end = "_normalised"
    given = {name: value for name, value in rows[model].items() if name and name.endswith(end) and value}
    try:
        return {name.removesuffix(end): float(value) for name, value in given.items()}
    except ValueError as error:
        raise WudiError(f"{results}: {model}: {error}; takes the file as `python -m tasks.record` writes it") from None


def scored_card(card: str, name: str, scores: Scores) -> str:
    """The card of a model of this name with its scores in the metadata and in the text."""
    from huggingface_hub import ModelCard

    scored = ModelCard(card)
    scored.data["model_name"] = name
    scored.data["eval_results"] = [eval_result(entry) for entry in scores.evaluations]
    place = scored.text.find(BEFORE)
    place = len(scored.text) if place < 0 else place
    scored.text = f"{scored.text[:place]}{section(scores)}\n{scored.text[place:]}"
    return str(scored)


def eval_result(entry: Mapping[str, Any]) -> "EvalResult":
    """One benchmark's score as the Hub takes it."""
    from huggingface_hub import EvalResult

    title, repository, configuration = DATASETS.get(entry["task"], (entry["benchmark"], entry["task"], None))
    extraction = f" ({entry['filter']})" if entry.get("filter") not in (None, "none") else ""
    arguments = {"num_few_shot": entry.get("num_fewshot"), "limit": entry.get("limit")}
    return EvalResult(
        task_type="text-generation",
        dataset_type=repository,
        dataset_name=title,
        dataset_config=configuration,
        dataset_args={key: value for key, value in arguments.items() if value is not None} or None,
        metric_type=entry["metric"],
        metric_name=f"{entry['metric']}{extraction}",
        metric_value=round(entry["score"], 6),
    )


def section(scores: Scores) -> str:
    """The table for people, with the errors that the Hub's metadata has no place for."""
    rows = [COLUMNS, ["---"] * len(COLUMNS), *(row(entry, scores.normalised) for entry in scores.evaluations)]
    columns = len(COLUMNS) if scores.normalised else len(COLUMNS) - 1
    table = "\n".join(f"| {' | '.join(cells[:columns])} |" for cells in rows)
    versions = {
        f"{name} {version}" for entry in scores.evaluations for name, version in entry.get("versions", {}).items()
    }
    measured = f"Measured with {', '.join(sorted(versions))}." if versions else ""
    normalised = "Normalised scores are percentages of what each benchmark's own expert scores; 100 is as good."
    mean = f" Their mean is {scores.normalised['mean']:.1f}." if "mean" in scores.normalised else ""
    return f"## Evaluation\n\n{table}\n\n{measured}\n{normalised + mean if scores.normalised else ''}".rstrip() + "\n"


def row(entry: Mapping[str, Any], normalised: Mapping[str, float]) -> list[str]:
    """One benchmark's line."""
    few, error, asked, there = (entry.get(key) for key in ("num_fewshot", "stderr", "questions", "questions_available"))
    share = normalised.get(entry["benchmark"])
    return [
        entry["benchmark"],
        f"`{entry['task']}`",
        "" if few is None else str(few),
        eval_result(entry).metric_name or "",
        f"{entry['score']:.4f}",
        "" if error is None else f"{error:.4f}",
        "" if asked is None else f"{asked}" if there in (None, asked) else f"{asked} of {there}",
        "" if share is None else f"{share:.1f}",
    ]
