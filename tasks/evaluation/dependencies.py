"""What the harness's task modules load or demand when they are imported, answered.

`humaneval` and `mbpp` load the metric `code_eval`, which executes programs in this process, from the Hub: they get the
sandbox. `minerva_math` insists on the antlr runtime 4.11, while DVC's needs 4.9: it is told 4.11, and sympy's parser is
made to work on 4.9 (`tasks.evaluation.latex`).
"""

import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from tasks.evaluation.latex import GENERATED_FOR, RUNTIME
from tasks.evaluation.programs import CodeEval


@contextmanager
def replaced_dependencies() -> Iterator[None]:
    """Answer what the harness's task modules ask for on import."""
    import evaluate

    load = evaluate.load

    def load_metric(path: str, *arguments: Any, **options: Any) -> Any:
        return CodeEval() if path == "code_eval" else load(path, *arguments, **options)

    with replaced_runtime(), patch.object(evaluate, "load", load_metric):
        yield


@contextmanager
def replaced_runtime() -> Iterator[None]:
    """Tell whoever asks that antlr's runtime is the one that sympy's parser was made for."""
    # On its own import math-verify chooses among its parsers by the runtime's true version.
    import math_verify  # noqa: F401

    version = importlib.metadata.version

    def told(package: str) -> str:
        return GENERATED_FOR if package == RUNTIME else version(package)

    with patch.object(importlib.metadata, "version", told):
        yield
