"""Measure a model on every benchmark: `python -m tasks.evaluate base`, `... expert NAME` or `... recipe NAME`."""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import paths
from tasks.answers_file import write_answers
from tasks.console import command, quiet, step, track, waiting
from tasks.params import Params, load_params
from tasks.stage import known, parse_model, required
from tasks.timing import write_timing

if TYPE_CHECKING:  # loading the harness takes seconds, which a mistake in params.yaml must not cost
    from tasks.evaluation.backends.backend import Backend
    from tasks.evaluation.benchmark import Loaded, Result
    from tasks.evaluation.kept import KeptAnswers
    from tasks.evaluation.settings import Evaluation

EXAMPLES = (
    ("python -m tasks.evaluate base", "where the experts began"),
    ("python -m tasks.evaluate expert math", "an expert: what counts as 100 % on its benchmark"),
    ("python -m tasks.evaluate recipe wudi", "a merged model"),
    ("CUDA_VISIBLE_DEVICES=1 python -m tasks.evaluate recipe wudi", "on the second GPU"),
)


def main() -> None:
    """Evaluate the base, an expert or a merged model of params.yaml."""
    kind, name = parse_model(
        ["base", "expert", "recipe"],
        prog="python -m tasks.evaluate",
        description="Measure a model on every benchmark. Interrupted, it goes on where it was.",
        reads="params.yaml: evaluation; models/base, models/experts/NAME or merged/NAME",
        writes="scores/NAME.json, samples/NAME; answers are kept in .cache/answers for the next time",
        examples=EXAMPLES,
    )
    params = load_params()
    match kind:
        case "expert":
            folder = required(paths.expert(known("experts", name, params.experts)), f"fetch@{name}")
        case "recipe":
            folder = required(paths.merged(known("recipes", name, params.recipes)), f"merge@{name}")
        case _:
            folder = required(paths.BASE, "fetch_base")
    evaluate(name, folder, params)


def evaluate(name: str, folder: Path, params: Params) -> None:
    """Write the scores and the answers of one model, which is loaded once for all benchmarks."""
    from tasks.evaluation.backends import check_backend, opened
    from tasks.evaluation.benchmark import load_benchmarks
    from tasks.evaluation.identity import model_sha256, what_answers
    from tasks.evaluation.kept import kept_answers
    from tasks.evaluation.programs import CHECKER

    started = time.monotonic()
    evaluation = params.evaluation
    check_backend(evaluation)
    CHECKER.use(evaluation.sandbox, track)
    with ExitStack() as stack:
        with waiting(f"loading the benchmarks and {name}"):
            benchmarks = load_benchmarks(evaluation)
            sha256 = model_sha256(folder)
            backend = stack.enter_context(opened(folder, evaluation))
            answering = what_answers(folder, sha256, backend, evaluation)
        with kept_answers(paths.answers(name), answering, evaluation.model_dump(mode="json")) as kept:
            results, spent = measure(name, benchmarks, backend, kept, evaluation)
            scores = {benchmark: result.evaluation["score"] for benchmark, result in results.items()}
            write_answers(paths.samples(name), {benchmark: result.answers for benchmark, result in results.items()})
            evaluations = [result.evaluation | {"model_sha256": sha256} for result in results.values()]
            write_scores(paths.scores(name), scores, evaluations)
    write_timing("evaluate", name, time.monotonic() - started, backend.device, benchmarks=spent)
    step(f"evaluated {name}: " + ", ".join(f"{benchmark} {score:.3f}" for benchmark, score in scores.items()))


def measure(
    name: str, benchmarks: Sequence["Loaded"], backend: "Backend", kept: "KeptAnswers", evaluation: "Evaluation"
) -> tuple[dict[str, "Result"], dict[str, dict[str, Any]]]:
    """The result of each benchmark, and how fast each was measured."""
    from tasks.evaluation.asking import Asking
    from tasks.evaluation.benchmark import check_model, run_benchmark

    for benchmark in benchmarks:
        check_model(benchmark, backend)
    results, spent = {}, {}
    for benchmark in benchmarks:
        started = time.monotonic()
        model = Asking(backend, kept, f"{name} on {benchmark.name}")
        results[benchmark.name] = run_benchmark(benchmark, model, evaluation)
        spent[benchmark.name] = {
            "seconds": round(time.monotonic() - started, 3),
            "questions": results[benchmark.name].evaluation["questions"],
            **model.spent.as_dict(),
        }
    return results, spent


def write_scores(path: Path, scores: Mapping[str, float], evaluations: list[dict[str, Any]]) -> None:
    """The score file: what DVC's metrics table shows above what each score was measured with."""
    content = {**scores, "mean": sum(scores.values()) / len(scores), "evaluations": evaluations}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".tmp")
    partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


if __name__ == "__main__":
    quiet()
    command(main)
