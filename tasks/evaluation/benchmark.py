"""One benchmark on one model: its score with all that decides it, and every answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from lm_eval.api.model import CachingLM
from lm_eval.api.task import ConfigurableTask
from lm_eval.evaluator import evaluate
from transformers import set_seed

from tasks.evaluation.harness import executes_programs
from tasks.evaluation.settings import Benchmark, Evaluation
from tasks.strict import ParamsError
from wudi.settings import nearest

SEED = 1234
"""lm-eval's own default for the choice of few-shot examples."""


@dataclass(frozen=True)
class Result:
    """The entry of a benchmark in a score file, and its answers in the order of the questions."""

    evaluation: dict[str, Any]
    answers: list[dict[str, Any]]


def run_benchmark(
    name: str, benchmark: Benchmark, loaded: dict[str, Any], model: CachingLM, evaluation: Evaluation
) -> Result:
    """Ask the model every question of a benchmark (`loaded` by `load_tasks`) and score its answers as lm-eval does."""
    tasks = loaded["tasks"]
    set_seed(SEED)
    for task in tasks.values():
        check_length(name, task, model)
        default = task.config.num_fewshot or 0
        task.set_config("num_fewshot", default if benchmark.num_fewshot is None else benchmark.num_fewshot)
        task.set_fewshot_seed(SEED)
    outcome = evaluate(
        lm=model,
        task_dict=loaded,
        limit=benchmark.limit,
        apply_chat_template=benchmark.chat_template,
        fewshot_as_multiturn=benchmark.chat_template,
        confirm_run_unsafe_code=True,
    )
    row = {key: value for key, value in outcome["results"][benchmark.task].items() if "," in key}
    counted = counted_metric(name, benchmark, row)
    metric, _, extraction = counted.partition(",")
    answers = list(answers_of(outcome["samples"], metric, extraction))
    first = next(iter(tasks.values()))
    return Result(
        {
            "benchmark": name,
            "task": benchmark.task,
            "task_version": first.VERSION,
            "metric": metric,
            "filter": extraction,
            "score": row[counted],
            "stderr": row[counted.replace(",", "_stderr,", 1)],
            "questions": len(answers),
            "other_metrics": {key: value for key, value in row.items() if "_stderr," not in key and key != counted},
            "num_fewshot": first.config.num_fewshot,
            "limit": benchmark.limit,
            "chat_template": benchmark.chat_template,
            "sandbox": evaluation.sandbox if any(executes_programs(task) for task in tasks.values()) else None,
            "versions": {package: version(package) for package in ("lm_eval", "transformers", "torch", "math-verify")},
        },
        answers,
    )


def check_length(name: str, task: ConfigurableTask, model: CachingLM) -> None:
    """Raise a `ParamsError` where the model has no room for a prompt beside the answer."""
    answer = (task.config.generation_kwargs or {}).get("max_gen_toks", model.max_gen_toks)
    if task.OUTPUT_TYPE == "generate_until" and answer >= model.max_length:
        raise ParamsError(
            f"evaluation.benchmarks.{name}: {task.config.task} generates up to {answer} tokens, "
            f"but the model takes {model.max_length} in all; leave the benchmark out"
        )


def counted_metric(name: str, benchmark: Benchmark, row: dict[str, Any]) -> str:
    """The `metric,filter` that counts: as params.yaml says, else the task's first.

    Raises:
        ParamsError: The task has no such metric or filter.
    """
    known = [key for key in row if "_stderr," not in key]
    for key in known:
        metric, _, extraction = key.partition(",")
        if benchmark.metric in (None, metric) and benchmark.filter in (None, extraction):
            return key
    wanted = f"{benchmark.metric or 'its first metric'},{benchmark.filter or 'its first filter'}"
    raise ParamsError(
        f"params.yaml: evaluation.benchmarks.{name}: {benchmark.task} has no {wanted}; {nearest(wanted, known)}"
    )


def answers_of(samples: dict[str, list[dict[str, Any]]], metric: str, extraction: str) -> Iterator[dict[str, Any]]:
    """What was asked, answered and judged, task by task and question by question."""
    counted = ((task, sample) for task in samples for sample in samples[task] if sample["filter"] == extraction)
    for number, (task, sample) in enumerate(counted):
        yield {
            "question": number,
            "task": task,
            "prompt": sample["arguments"][0][0],
            "generation": sample["resps"][0][0],
            "extracted": sample["filtered_resps"][0],
            "target": sample["target"],
            "correct": float(sample[metric]),
        }
