"""lm-eval's tasks, unmodified but for what two of them load or demand when they are imported.

Prompts, few-shot examples, stop strings, filters and post-processing are the harness's own. What decides answers, by
running programs or by computer algebra, works ahead of the harness, in processes of its own.
"""

from typing import Any

from lm_eval.api.task import ConfigurableTask

from tasks.evaluation import index
from tasks.evaluation.dependencies import replaced_dependencies
from tasks.evaluation.judging import judge_ahead
from tasks.evaluation.programs import CHECKER, pass_at_1


def load_tasks(name: str) -> dict[str, Any]:
    """The tasks and groups behind a name, as `lm_eval.evaluate` takes them.

    Raises:
        ParamsError: lm-eval has no such task.
    """
    with replaced_dependencies():
        loaded = index.load(name)
    for task in loaded["tasks"].values():
        execute_ahead(task)
        judge_ahead(task)
    return loaded


def executes_programs(task: ConfigurableTask) -> bool:
    """Whether a task's score comes from running what the model wrote."""
    return bool(getattr(task, "UNSAFE_CODE", False)) or pass_at_1 in task._metric_fn_list.values()


def execute_ahead(task: ConfigurableTask) -> None:
    """Run all programs of a task in parallel once its answers are extracted, before they are scored one by one."""
    if not executes_programs(task):
        return
    apply_filters = task.apply_filters

    def apply_filters_and_execute() -> None:
        apply_filters()
        CHECKER.run(
            [
                (candidate, str(task.doc_to_target(instance.doc)))
                for instance in task.instances
                for answer in instance.filtered_resps.values()
                for candidate in (answer if isinstance(answer, list) else [answer])
            ]
        )

    task.apply_filters = apply_filters_and_execute
