"""One benchmark on one model: its score with all that decides it, and every answer."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from lm_eval.api.task import ConfigurableTask
from lm_eval.evaluator import evaluate
from transformers import set_seed

from tasks.evaluation.answered import answers_of
from tasks.evaluation.asking import Asking
from tasks.evaluation.backends.backend import Backend, answer_tokens
from tasks.evaluation.counted import check_benchmarks, check_verdict, counted_score
from tasks.evaluation.executing import executes_programs
from tasks.evaluation.harness import load_tasks
from tasks.evaluation.settings import Benchmark, Evaluation
from tasks.strict import ParamsError

SEED = 1234
"""lm-eval's own default for the choice of few-shot examples."""
PACKAGES = ("lm_eval", "transformers", "torch", "math-verify")
"""Whose versions a score depends on."""
UNPROTECTED = "sandbox: none: model-written programs ran unprotected, and could have forged their verdicts"


@dataclass(frozen=True)
class Loaded:
    """A benchmark whose tasks are loaded."""

    name: str
    settings: Benchmark
    tasks: dict[str, Any]
    """As `load_tasks` gives them."""

    @property
    def leaves(self) -> list[ConfigurableTask]:
        """The tasks themselves, without their groups."""
        return list(self.tasks["tasks"].values())


@dataclass(frozen=True)
class Result:
    """The entry of a benchmark in a score file, and its answers in the order of the questions."""

    evaluation: dict[str, Any]
    answers: list[dict[str, Any]]


def load_benchmarks(evaluation: Evaluation) -> list[Loaded]:
    """The tasks behind every benchmark of params.yaml, with their questions.

    Raises:
        ParamsError: lm-eval has no such task, metric or filter.
    """
    check_benchmarks(evaluation)
    loaded = []
    for name, settings in evaluation.benchmarks.items():
        loaded.append(Loaded(name, settings, load_tasks(settings.task)))
        for task in loaded[-1].leaves:
            set_shots(name, settings.num_fewshot, task)
            check_verdict(name, settings, task)
    return loaded


def set_shots(name: str, shots: int | None, task: ConfigurableTask) -> None:
    """Set how many examples stand before a question, by default as many as the task has it.

    Raises:
        ParamsError: The task has not so many.
    """
    if shots and (available := len(list(task.fewshot_docs() or ()))) < shots:
        raise ParamsError(
            f"params.yaml: evaluation.benchmarks.{name}.num_fewshot: got {shots}, but {task.config.task} has "
            f"{available} examples"
        )
    task.set_config("num_fewshot", task.config.num_fewshot or 0 if shots is None else shots)
    task.set_fewshot_seed(SEED)


def check_model(benchmark: Loaded, backend: Backend) -> None:
    """Make sure that the model can be asked: it has room for the answers, and a chat template where one is wanted.

    Raises:
        ParamsError: It cannot.
    """
    where, longest = f"params.yaml: evaluation.benchmarks.{benchmark.name}", backend.lm.max_length
    for task in benchmark.leaves:
        answer = answer_tokens(task.config.generation_kwargs or {}, backend.lm)
        if task.OUTPUT_TYPE == "generate_until" and answer >= longest:
            raise ParamsError(
                f"{where}: {task.config.task} generates up to {answer} tokens, "
                f"but the model takes {longest} in all; leave the benchmark out"
            )
    if benchmark.settings.chat_template and not backend.tokenizer.chat_template:
        raise ParamsError(f"{where}.chat_template: the model's tokenizer has no chat template; takes false")


def run_benchmark(benchmark: Loaded, model: Asking, evaluation: Evaluation) -> Result:
    """Ask the model every question of a benchmark and score its answers as lm-eval does."""
    settings, backend = benchmark.settings, model.backend
    set_seed(SEED)
    outcome = evaluate(
        lm=model,
        task_dict=benchmark.tasks,
        limit=settings.limit,
        apply_chat_template=settings.chat_template,
        fewshot_as_multiturn=settings.chat_template,
        confirm_run_unsafe_code=True,
    )
    row = {key: value for key, value in outcome["results"][settings.task].items() if "," in key}
    others = {key: value for key, value in row.items() if "_stderr," not in key}
    counted = counted_score(benchmark.name, settings, list(others))
    score, stderr = others.pop(counted), row[counted.replace(",", "_stderr,", 1)]
    answers = list(answers_of(outcome["samples"], counted))
    runs_programs = any(executes_programs(task) for task in benchmark.leaves)
    unprotected = (UNPROTECTED,) if runs_programs and evaluation.sandbox == "none" else ()
    metric, _, extraction = counted.partition(",")
    return Result(
        {
            "benchmark": benchmark.name,
            "task": settings.task,
            "task_version": benchmark.leaves[0].VERSION,
            "metric": metric,
            "filter": extraction,
            "score": score,
            "stderr": stderr if isinstance(stderr, float) else None,
            "questions": len(answers),
            "questions_available": sum(counts["original"] for counts in outcome["n-samples"].values()),
            "other_metrics": others,
            "num_fewshot": benchmark.leaves[0].config.num_fewshot,
            "limit": settings.limit,
            "chat_template": settings.chat_template,
            "backend": evaluation.backend,
            "device": backend.device,
            "dtype": backend.dtype,
            "batch_size": backend.batch_size,
            "sandbox": evaluation.sandbox if runs_programs else None,
            "warnings": [*backend.warnings, *unprotected, *model.cut_prompts()],
            "versions": {package: version(package) for package in PACKAGES},
        },
        answers,
    )
