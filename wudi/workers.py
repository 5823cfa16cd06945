"""Threads that compute side by side, each with a device of its own, and give results in the order of the questions."""

import ctypes
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, InvalidStateError, wait
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, Self, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD = 2
"""Results, beyond one a worker, that may wait for their turn."""


class Stopped(BaseException):
    """Ends what a worker is doing."""


class Workers(Generic[Item]):
    """One thread a device; a CPU may be there several times.

    Within each, torch computes with `threads` threads. Some of its routines round differently with another number, so
    it is set for the whole process as long as the workers live, and is not derived from the number of workers.
    """

    def __init__(self, devices: Sequence[torch.device], threads: int) -> None:
        self.devices = devices
        self.threads = threads
        self._workers: list[threading.Thread] = []
        self._questions: SimpleQueue[tuple[Future[Any], Callable[..., Any], Any] | None] = SimpleQueue()
        self._failed: Future[None] = Future()

    def __enter__(self) -> Self:
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        self._workers = [threading.Thread(target=self._work, args=(device,), daemon=True) for device in self.devices]
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._drop_questions()
            for worker in self._workers:
                interrupt(worker)
        for question in [None] * len(self._workers):
            self._questions.put(question)
        for worker in self._workers:
            worker.join()
        torch.set_num_threads(self._threads_before)

    def map(
        self, function: Callable[[Item, torch.device], Result], items: Iterable[Item], ahead: int = AHEAD
    ) -> Iterator[Result]:
        """`function(item, device)` for each item, in order; what it raises is raised here as soon as it is known."""
        waiting: deque[Future[Result]] = deque()
        for item in items:
            if len(waiting) >= len(self.devices) + ahead:
                yield self._next(waiting)
            answer: Future[Result] = Future()
            waiting.append(answer)
            self._questions.put((answer, function, item))
        while waiting:
            yield self._next(waiting)

    def _next(self, waiting: deque[Future[Result]]) -> Result:
        """The oldest answer; an error does not wait for its turn, which minutes of an iterative method may precede."""
        either: list[Future[Any]] = [waiting[0], self._failed]
        wait(either, return_when=FIRST_COMPLETED)
        if self._failed.done():
            for answer in waiting:
                if answer.done():
                    answer.result()
        return waiting.popleft().result()

    def _work(self, device: torch.device) -> None:
        with suppress(Stopped):
            while (question := self._questions.get()) is not None:
                answer, function, item = question
                try:
                    with torch.no_grad():
                        answer.set_result(function(item, device))
                except Exception as error:  # raised again where the answer is awaited
                    answer.set_exception(error)
                    with suppress(InvalidStateError):  # there was one before
                        self._failed.set_result(None)

    def _drop_questions(self) -> None:
        with suppress(Empty):
            while True:
                self._questions.get_nowait()


def interrupt(thread: threading.Thread) -> None:
    """Raise `Stopped` in a thread: a Ctrl-C reaches the main thread alone, and an iterative method takes minutes."""
    if thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Stopped))


def cores() -> int:
    """How many cores torch takes to be ours: all that the process may use, or OMP_NUM_THREADS."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, torch.get_num_threads()) if os.environ.get("OMP_NUM_THREADS") else allowed
