"""Answers that are programs: in the sandbox, all of a task's before it is scored, and not at all outside."""

from lm_eval.api.task import ConfigurableTask

from tasks.evaluation.programs import CHECKER, CodeEval, pass_at_1
from tasks.strict import ParamsError


def executes_programs(task: ConfigurableTask) -> bool:
    """Whether a task's score comes from running what the model wrote, as far as the task says so."""
    return bool(getattr(task, "UNSAFE_CODE", False)) or asks_checker(task)


def asks_checker(task: ConfigurableTask) -> bool:
    """Whether a task's programs run in the sandbox: its metrics use `code_eval`, or are the miniatures' own."""
    found = [*getattr(task, "_metric_fn_list", {}).values(), task.config.process_results]
    # lm-eval keeps a task's own metric as the function's `__call__`.
    functions = [getattr(function, "__self__", function) for function in found]
    scopes = [getattr(function, "__globals__", {}) for function in functions]
    return pass_at_1 in functions or any(isinstance(value, CodeEval) for scope in scopes for value in scope.values())


def refuse_programs(task: ConfigurableTask) -> None:
    """Refuse a task that executes what the model wrote by itself, where no sandbox is around it.

    Raises:
        ParamsError: It is one.
    """
    if executes_programs(task) and not asks_checker(task):
        raise ParamsError(
            f"params.yaml: evaluation.benchmarks: {task.config.task} executes model-written programs by itself, not in "
            "the sandbox; takes a task that scores them with lm-eval's code_eval, such as humaneval"
        )


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
