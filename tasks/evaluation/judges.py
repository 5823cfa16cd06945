"""Processes that judge answers, as many as there are cores, and no answer that outlives its limits.

`concurrent.futures` cannot kill what it runs, and a pool that forks or imports the main module anew would carry torch
into every process: here a worker is a small program of its own (`tasks.evaluation.worker`), spoken to through pipes.
"""

import inspect
import json
import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Self

from tasks.evaluation.worker import Verdict
from wudi.errors import WudiError
from wudi.progress import Track, silent

Question = tuple[dict[str, Any], list[Any]]
"""A task's document, and the results of the model on it."""

SECONDS = 60
"""Of a processor's time for one answer: the harness's own limits, 5 s for each of several steps, come to 35."""
WAIT = 900.0
"""Seconds after which a worker is killed that neither answers nor uses up its processor time."""


def judge_all(
    function: Callable[..., Verdict], questions: Sequence[Question], track: Track = silent, seconds: int = SECONDS
) -> list[Verdict | None]:
    """The verdicts in the order of the questions; None where judging took a worker down, or more than the seconds.

    Raises:
        WudiError: A worker cannot load the function, or the function fails.
    """
    if not questions:
        return []
    count = min(os.cpu_count() or 1, len(questions))
    with Workers(function, seconds) as workers, ThreadPoolExecutor(count, thread_name_prefix="judge") as pool:
        try:
            futures = [pool.submit(workers.judge, question) for question in questions]
            return [future.result() for future in track(futures, "judging answers")]
        except BaseException:
            # After a failure or Ctrl-C nobody waits for what is being judged.
            pool.shutdown(wait=False, cancel_futures=True)
            workers.kill()
            raise


class Workers:
    """As many worker processes as are asked at one time."""

    def __init__(self, function: Callable[..., Verdict], seconds: int) -> None:
        self.function, self.seconds = function, seconds
        self._idle, self._all = deque[Worker](), list[Worker]()
        self._killed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._all:
            worker.end()

    def kill(self) -> None:
        """End them all, whatever they do, and those that are about to start: whoever waits for one hears of its end."""
        self._killed = True
        for worker in list(self._all):
            worker.process.kill()

    def judge(self, question: Question) -> Verdict | None:
        """Have an idle or a new worker judge; None where that takes it down."""
        try:
            worker = self._idle.pop()
        except IndexError:
            worker = self.started()
        try:
            answer = worker.ask(question)
        except EOFError:
            worker.end()
            return None
        self._idle.append(worker)
        if isinstance(answer, str):
            raise WudiError(f"{self.function.__module__}: judging an answer failed ({answer}): {question[1]!r:.300}")
        return answer

    def started(self) -> "Worker":
        """A new worker."""
        worker = Worker(self.function, self.seconds)
        self._all.append(worker)
        if self._killed:
            worker.process.kill()
        return worker


class Worker:
    """One process of `tasks.evaluation.worker`."""

    def __init__(self, function: Callable[..., Verdict], seconds: int) -> None:
        judge = [inspect.getfile(function), function.__name__, str(seconds)]
        command = [sys.executable, "-m", "tasks.evaluation.worker", *judge]
        # Some of sympy's results depend on the order of sets, which is the same in every run.
        fixed = {"PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath), **fixed},
            start_new_session=True,
        )
        try:
            problem = self.answer()
        except EOFError:
            problem = f"a process that judges answers does not start ({' '.join(command)})"
        if problem is not None:
            self.end()
            raise WudiError(str(problem))

    def ask(self, question: Question) -> Verdict | str | None:
        """What it says to a question.

        Raises:
            EOFError: It ended without an answer.
        """
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            pickle.dump(question, self.process.stdin)
            self.process.stdin.flush()
        return self.answer()

    def answer(self) -> Verdict | str | None:
        """The next line, read."""
        assert self.process.stdout is not None
        limit = threading.Timer(WAIT, self.process.kill)
        limit.start()
        try:
            line = self.process.stdout.readline()
        finally:
            limit.cancel()
        if not line.endswith(b"\n"):
            raise EOFError
        return json.loads(line)

    def end(self) -> None:
        """Kill it, whatever it does, and leave nothing open."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdout.close()
        # Closing it flushes what a dead process did not take.
        with suppress(BrokenPipeError):
            self.process.stdin.close()
