"""Answers judged by sympy: in processes of their own, many at a time.

The harness judges MATH in its own process, where an answer such as `9^{9^{9^{9}}}` keeps it busy for ever, or takes all
memory: its alarms do not reach into one long multiplication. Here the answers of a task are judged by workers before
the harness begins to score, which then looks each verdict up. What takes a worker down is wrong.
"""

import inspect
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from tasks.evaluation.judges import Question, judge_all
from tasks.evaluation.latex import enable_sympy_parser
from tasks.evaluation.programs import CHECKER
from tasks.evaluation.worker import Verdict
from wudi.errors import WudiError
from wudi.progress import Track, silent

MANY = 20
"""Answers of which not one was judged: then it is not the answers that take the workers down."""


def judge_ahead(task: ConfigurableTask) -> None:
    """Judge all answers of a task in parallel once they are extracted, before they are scored one by one.

    Raises:
        WudiError: Sympy's LaTeX parser does not work here, which is better known before a model has answered. The
            task raises it later where no answer could be judged at all.
    """
    function = task.config.process_results
    if not (inspect.isfunction(function) and calculates(function)):
        return
    enable_sympy_parser()
    apply_filters, verdicts = task.apply_filters, dict[str, Verdict]()
    wrong = {metric["metric"]: 0 for metric in task.config.metric_list}

    def judge(questions: Sequence[Question], track: Track = silent) -> None:
        new = list({key_of(question): question for question in questions if key_of(question) not in verdicts}.items())
        judged = judge_all(function, [question for _, question in new], track)
        if len(judged) >= MANY and not any(judged):
            raise WudiError(
                f"{task.config.task}: judging took its process down for every one of {len(judged)} answers; see that "
                "the machine has 1 GiB of memory for each processor"
            )
        verdicts.update((key, verdict or wrong) for (key, _), verdict in zip(new, judged, strict=True))

    def apply_filters_and_judge() -> None:
        apply_filters()
        judge(questions_of(task.instances), CHECKER.track)

    def process_results(document: dict[str, Any], results: list[Any]) -> Verdict:
        judge([(document, results)])
        return dict(verdicts[key_of((document, results))])

    task.apply_filters, task.process_results = apply_filters_and_judge, process_results


def calculates(function: Callable[..., Any]) -> bool:
    """Whether answers are judged by computer algebra, whose work has no bound."""
    source = Path(inspect.getfile(function)).read_text(encoding="utf-8")
    return "sympy" in source or "math_verify" in source


def questions_of(instances: Sequence[Instance]) -> list[Question]:
    """What the harness will ask a task to score: for each filter the answers to one document together."""
    grouped = defaultdict[int, list[Instance]](list)
    for instance in instances:
        grouped[instance.doc_id].append(instance)
    return [
        (group[0].doc, [instance.filtered_resps[name] for instance in sorted(group, key=lambda one: one.idx)])
        for group in grouped.values()
        for name in group[0].filtered_resps
    ]


def key_of(question: Question) -> str:
    """What two questions share that are the same."""
    return json.dumps(question, sort_keys=True, default=str)
