"""lm-eval's tasks, unmodified but for what two of them load or demand when they are imported.

Prompts, few-shot examples, stop strings, filters and post-processing are the harness's own. What decides answers, by
running programs or by computer algebra, works ahead of the harness, in processes of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from datasets.exceptions import DatasetsError

from tasks.evaluation import index
from tasks.evaluation.dependencies import replaced_dependencies
from tasks.evaluation.executing import execute_ahead, refuse_programs
from tasks.evaluation.judging import judge_ahead
from tasks.strict import ParamsError


def load_tasks(name: str) -> dict[str, Any]:
    """The tasks and groups behind a name, as `lm_eval.evaluate` takes them.

    Raises:
        ParamsError: lm-eval has no such task, its data or packages are not at hand, or it runs programs by itself.
    """
    with replaced_dependencies(), told_in_a_line(name):
        loaded = index.load(name)
    for task in loaded["tasks"].values():
        refuse_programs(task)
        execute_ahead(task)
        judge_ahead(task)
    return loaded


@contextmanager
def told_in_a_line(name: str) -> Iterator[None]:
    """Make one error of what goes wrong when a task's code and data are loaded."""
    where = f"params.yaml: evaluation.benchmarks: {name}"
    try:
        yield
    except ImportError as error:
        needed = f"pip install {error.name}" if error.name else str(error)
        raise ParamsError(f"{where} needs a package that is not installed: {needed}") from None
    except (OSError, ValueError, DatasetsError) as error:
        problem = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ParamsError(
            f"{where}: its data cannot be read ({type(error).__name__}: {problem}); look to the connection, or download"
            " them on a machine that has one (HF_HOME is where they are kept)"
        ) from None
