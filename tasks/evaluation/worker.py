"""A process that judges answers, one after the other: pickled questions on stdin, verdicts as JSON lines on stdout.

`python -m tasks.evaluation.worker FILE FUNCTION SECONDS` loads the function of a task's module, says `null`, and then
applies it to each pair of a document and its results until stdin ends. What works longer than those seconds is killed
by the kernel, what takes more memory than there is for it fails.
"""

import importlib.util
import json
import os
import pickle
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from tasks.evaluation.dependencies import replaced_runtime
from tasks.evaluation.latex import enable_sympy_parser
from wudi.errors import WudiError

Verdict = dict[str, float]
"""The metrics of one answer."""

NOTHING = "null"
MEMORY = 1 << 30
"""Bytes of address space above what the loaded modules take."""


def main() -> None:
    """Answer until there are no more questions."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Whatever the judging code prints is no verdict.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    file, name, seconds = sys.argv[1:]
    try:
        function = load(Path(file), name)
    except WudiError as error:
        say(replies, json.dumps(str(error)))
        return
    count_processor_time()
    limit_memory()
    say(replies, NOTHING)
    while True:
        try:
            document, results = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        limit_time(int(seconds))
        say(replies, judge(function, document, results))


def load(file: Path, name: str) -> Callable[..., Verdict]:
    """The function of that name in a module of lm-eval's, read from its file: its package would import all of lm-eval.

    Raises:
        WudiError: The module cannot be imported, or sympy's LaTeX parser does not work.
    """
    enable_sympy_parser()
    spec = importlib.util.spec_from_file_location("judged", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        with replaced_runtime():
            spec.loader.exec_module(module)
    except ImportError as error:
        raise WudiError(f"{file}: cannot be imported to judge answers ({error})") from None
    return getattr(module, name)


def judge(function: Callable[..., Verdict], document: dict[str, Any], results: list[Any]) -> str:
    """The verdict in JSON; `null` on an answer that exhausts memory or the stack, and what else went wrong in words."""
    try:
        return json.dumps(function(document, results), default=float)
    except (MemoryError, RecursionError, TimeoutError):
        return NOTHING
    except Exception as error:
        return json.dumps(f"{type(error).__name__}: {error}")


def say(replies: TextIO, line: str) -> None:
    """Write one line."""
    replies.write(line + "\n")
    replies.flush()


def count_processor_time() -> None:
    """Let alarms count this process's time on the processor, so that verdicts do not depend on what else runs."""

    def alarm(seconds: int) -> int:
        left, _ = signal.setitimer(signal.ITIMER_PROF, seconds)
        return int(left)

    signal.signal(signal.SIGPROF, lambda *_: signal.raise_signal(signal.SIGALRM))
    signal.alarm = alarm


def limit_memory() -> None:
    """Leave `MEMORY` from here on, and no core files; macOS knows no limit of memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def limit_time(seconds: int) -> None:
    """Have the kernel kill this process when it has worked that long from here on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds, hard))


if __name__ == "__main__":
    main()
