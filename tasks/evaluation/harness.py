"""lm-eval's tasks, unmodified but for what two of them load or demand when they are imported.

`humaneval` and `mbpp` load the metric `code_eval`, which executes programs in this process, from the Hub;
`minerva_math` insists on the antlr runtime 4.11, while DVC's needs 4.9. While tasks are loaded, the first is answered
with the sandbox and the second with the LaTeX parser that math-verify brings for 4.9. Prompts, few-shot examples, stop
strings, filters and post-processing are the harness's own.
"""

import importlib.metadata
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager

from tasks.evaluation.programs import CHECKER, CodeEval, pass_at_1
from tasks.params import ParamsError
from tasks.zoo import TASKS_FOLDER
from wudi.settings import nearest

USUAL = ("gsm8k", "minerva_math", "hendrycks_math", "humaneval", "mbpp")
"""The harness's folders of the four benchmarks: indexing all of its 14,000 tasks takes 10 s."""


def load_tasks(name: str) -> dict[str, Any]:
    """The tasks and groups behind a name, as `lm_eval.evaluate` takes them.

    Raises:
        ParamsError: lm-eval has no such task.
    """
    manager = manager_with(name)
    with replaced_dependencies():
        loaded: dict[str, Any] = manager.load([name])
    for task in loaded["tasks"].values():
        execute_ahead(task)
    return loaded


def manager_with(name: str) -> TaskManager:
    """An index that holds the task: of the zoo and the usual benchmarks if that will do, else of the whole harness."""
    import lm_eval

    harness = Path(lm_eval.__file__).parent / "tasks"
    manager = TaskManager(
        include_path=[str(TASKS_FOLDER), *(str(harness / folder) for folder in USUAL)], include_defaults=False
    )
    if name in manager.all_tasks:
        return manager
    manager = TaskManager(include_path=str(TASKS_FOLDER))
    if name in manager.all_tasks:
        return manager
    raise ParamsError(
        f"params.yaml: evaluation.benchmarks: lm-eval has no task {name!r}; {near(name, manager.all_tasks)}"
    )


def near(name: str, known: Collection[str]) -> str:
    """The nearest task name; all 14,000 of them are too many to list."""
    hint = nearest(name, sorted(known))
    return hint if hint.startswith("did you mean") else "`lm-eval ls tasks` lists them"


@contextmanager
def replaced_dependencies() -> Iterator[None]:
    """Answer what the harness's task modules ask for on import."""
    import evaluate
    import sympy.parsing.latex
    from latex2sympy2_extended import latex2sympy

    load, version = evaluate.load, importlib.metadata.version

    def load_metric(path: str, *arguments: Any, **options: Any) -> Any:
        return CodeEval() if path == "code_eval" else load(path, *arguments, **options)

    def antlr_version(package: str) -> str:
        return "4.11" if package == "antlr4-python3-runtime" else version(package)

    with ExitStack() as replaced:
        replaced.enter_context(patch.object(evaluate, "load", load_metric))
        replaced.enter_context(patch.object(importlib.metadata, "version", antlr_version))
        replaced.enter_context(patch.object(sympy.parsing.latex, "parse_latex", latex2sympy))
        yield


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
