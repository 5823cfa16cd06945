"""Merges in processes of their own, which are killed, and which start at once as a server has imported all."""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import transformers.models.llama.modeling_llama  # noqa: F401  # seconds, which no child spends again

from tests.forking import forked_off
from tests.wudi.merges import Trio, run

OPERATIONS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "shutil.copyfile")


def child(function: Callable[..., Any], *given: Any) -> BaseProcess:
    """A process that does nothing but call a function."""
    process = forked_off(__name__).Process(target=function, args=given, daemon=True)
    process.start()
    return process


def run_with(trio: Trio, out: Path, recipe: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    run(*trio, out, recipe, **options)


def run_until(number: int, trio: Trio, out: Path, recipe: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """A merge that is killed just before the operation of this number on its output."""
    left = iter(range(number))

    def hook(event: str, given: Sequence[Any]) -> None:
        if event in OPERATIONS and is_output(event, given, out) and next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    run(*trio, out, recipe, **options)


def is_output(event: str, given: Sequence[Any], out: Path) -> bool:
    """Whether an operation changes files of the output."""
    paths = [str(path) for path in given[:2] if isinstance(path, str | os.PathLike)]
    writes = event != "open" or bool(given[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return writes and any(path.startswith(str(out)) for path in paths)
