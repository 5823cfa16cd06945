"""Which of a task's scores counts.

lm-eval names a score `metric,filter`: what is measured, and how the answer was cut out of the generation. A task's file
names most of them, so a mistake in params.yaml is told before anything is loaded; what a task's own functions return is
known when it was scored.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from lm_eval.api.registry import get_metric_aggregation, is_higher_better
from lm_eval.api.task import ConfigurableTask
from lm_eval.config.group import AggMetricConfig

from tasks.evaluation.index import described
from tasks.evaluation.settings import Benchmark, Evaluation
from tasks.strict import ParamsError
from wudi.settings import nearest

MEANS = ("mean", "nanmean")
"""The aggregations of lm-eval under which each question has a number of its own."""


@dataclass(frozen=True)
class Scores:
    """What a task's file says of its scores; None where it leaves them open."""

    metrics: tuple[str, ...] | None
    filters: tuple[str, ...] | None
    lower: frozenset[str] = frozenset()
    """The metrics that are better when they are lower."""
    pooled: frozenset[str] = frozenset()
    """The metrics that are made of all answers together and say nothing of a single one."""

    @classmethod
    def described(cls, description: Mapping[str, Any]) -> Self:
        """Of the file of a task or a group, as a dictionary."""
        if "group" in description:
            gathered = [AggMetricConfig(**entry) for entry in description.get("aggregate_metric_list") or []]
            filters = [name for entry in gathered for name in entry.filter_list or []]
            return cls(tuple(entry.metric for entry in gathered), tuple(filters) or None)
        entries = description.get("metric_list") or []
        metrics = tuple(str(entry["metric"]) for entry in entries)
        own_functions = any("/" in metric for metric in metrics)
        names = tuple(entry["name"] for entry in description.get("filter_list") or [{"name": "none"}])
        better = {str(entry["metric"]): entry.get("higher_is_better") for entry in entries}
        lower = frozenset(
            metric
            for metric, higher in better.items()
            if (is_higher_better(metric) if higher is None else higher) is False
        )
        pooled = frozenset(str(entry["metric"]) for entry in entries if not is_mean(entry))
        return cls(metrics if metrics and not own_functions else None, names if description else None, lower, pooled)


def is_mean(entry: Mapping[str, Any]) -> bool:
    """Whether a metric of a task's file is a mean over questions, or may be: own functions are not looked into."""
    aggregation = str(entry.get("aggregation") or "")
    if not aggregation:
        aggregation = getattr(get_metric_aggregation(str(entry["metric"])), "__name__", MEANS[0])
    return aggregation in MEANS or "/" in aggregation


def check_benchmarks(evaluation: Evaluation) -> None:
    """Make sure that the tasks, metrics and filters of params.yaml exist, without loading any data.

    Raises:
        ParamsError: One of them does not.
    """
    for name, settings in evaluation.benchmarks.items():
        check_choice(name, settings, Scores.described(described(settings.task)))


def check_choice(name: str, benchmark: Benchmark, scores: Scores) -> None:
    """Make sure that the metric and the filter of params.yaml exist, as far as the task's file says.

    Raises:
        ParamsError: They do not, or the metric is better when it is lower, or a group gathers no score.
    """
    if scores.metrics == ():
        raise ParamsError(f"{where(name)}: the group {benchmark.task} has no score of its own; name a task of it")
    choices = {"metric": (benchmark.metric, scores.metrics), "filter": (benchmark.filter, scores.filters)}
    for setting, (value, known) in choices.items():
        if value is not None and known is not None and value not in known:
            raise ParamsError(
                f"{where(name)}.{setting}: got {value!r}, which {benchmark.task} has not; {nearest(value, list(known))}"
            )
    metric = benchmark.metric or (scores.metrics or ("",))[0]
    others = [known for known in scores.metrics or () if known not in scores.lower | scores.pooled]
    takes = f"takes {'metric: ' + ' or '.join(others) if others else 'another task'}"
    if metric in scores.lower:
        raise ParamsError(
            f"{where(name)}: {metric} of {benchmark.task} is better when it is lower, and so no percentage of the "
            f"expert's; {takes}"
        )
    if metric in scores.pooled:
        raise ParamsError(
            f"{where(name)}: {metric} of {benchmark.task} says nothing of a single question, so models cannot be "
            f"compared by it; {takes}"
        )


def check_verdict(name: str, benchmark: Benchmark, task: ConfigurableTask) -> None:
    """Make sure that a metric which a task's own function gathers has a number for each question.

    One question is scored with an empty answer to see; what cannot be scored so is left to the evaluation.

    Raises:
        ParamsError: It has none.
    """
    own = any(callable(entry.get("aggregation")) for entry in task.config.metric_list or [])
    if task.OUTPUT_TYPE != "generate_until" or not own:
        return
    try:
        verdicts = task.process_results(next(iter(task.eval_docs)), [""])
    except Exception:  # of any task's own code
        return
    metric = benchmark.metric or next(iter(verdicts))
    numbers = [known for known, value in verdicts.items() if isinstance(value, int | float)]
    if metric not in numbers:
        raise ParamsError(
            f"{where(name)}.metric: {metric} of {benchmark.task} says nothing of a single question, so models cannot "
            f"be compared by it; takes {' or '.join(numbers) or 'the metric of another task'}"
        )


def counted_score(name: str, benchmark: Benchmark, scores: Sequence[str]) -> str:
    """The `metric,filter` that counts: as params.yaml says, else the task's first.

    Args:
        name: The benchmark's.
        benchmark: Its settings.
        scores: Every `metric,filter` that was measured.

    Raises:
        ParamsError: The task has no such metric or filter.
    """
    for score in scores:
        metric, _, extraction = score.partition(",")
        if benchmark.metric in (None, metric) and benchmark.filter in (None, extraction):
            return score
    wanted = f"{benchmark.metric or 'any metric'},{benchmark.filter or 'any filter'}"
    raise ParamsError(f"{where(name)}: {benchmark.task} has no {wanted}; {nearest(wanted, list(scores))}")


def where(name: str) -> str:
    """The place of a benchmark in params.yaml."""
    return f"params.yaml: evaluation.benchmarks.{name}"
