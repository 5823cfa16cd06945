"""What computes a model's answers: transformers or vLLM in this process, or a server."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.evaluation.backends.backend import Backend
from tasks.evaluation.settings import Evaluation

__all__ = ["Backend", "check_backend", "opened"]


@contextmanager
def opened(folder: Path, evaluation: Evaluation) -> Iterator[Backend]:
    """The model of a folder behind the backend of params.yaml, until the block ends."""
    match evaluation.backend:
        case "hf":
            from tasks.evaluation.backends.hf import load_hf

            yield load_hf(folder, evaluation)
        case "server":
            from tasks.evaluation.backends.server import serve

            with serve(folder, evaluation) as backend:
                yield backend
        case "vllm":
            from tasks.evaluation.backends.vllm import load_vllm

            yield load_vllm(folder, evaluation)


def check_backend(evaluation: Evaluation) -> None:
    """Make sure that the backend is there, before anything is read.

    Raises:
        WudiError: A package or a program is not installed.
    """
    if evaluation.backend == "vllm":
        from tasks.evaluation.backends.vllm import check_vllm

        check_vllm(evaluation)
    if evaluation.server is not None:
        from tasks.evaluation.backends.server_process import check_command

        check_command(evaluation.server)
