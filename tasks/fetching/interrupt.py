"""Ctrl-C during a download: huggingface_hub's threads would finish their files first, which may take an hour."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from tqdm import tqdm


class Interruptible:
    """While a `with` block lasts, Ctrl-C also ends the threads that report to the bars of the class that it gives."""

    def __enter__(self) -> type[tqdm]:
        self._stop = threading.Event()
        self._in_main_thread = threading.current_thread() is threading.main_thread()
        if self._in_main_thread:
            self._before = signal.signal(signal.SIGINT, self._interrupt)
        return reporting_to(self._stop)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._in_main_thread:
            signal.signal(signal.SIGINT, self._before)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._stop.set()
        signal.default_int_handler(number, frame)


def reporting_to(stop: threading.Event) -> type[tqdm]:
    """A bar that draws nothing, and that ends whoever moves it once `stop` is set."""

    class Bar(tqdm):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*arguments, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            if stop.is_set():
                raise KeyboardInterrupt
            return super().update(n)

    return Bar
