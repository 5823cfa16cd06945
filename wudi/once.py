"""Something that several threads need and one computes."""

from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock
from typing import Any


class Once:
    """The value of each key, computed by whoever asks first; the others wait for it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._values: dict[str, Future[Any]] = {}

    def __reduce__(self) -> tuple[type["Once"], tuple[()]]:
        # Another process asks anew.
        return type(self), ()

    def __call__(self, key: str, compute: Callable[[], Any]) -> Any:
        """The value of `compute`, which is called once for each key."""
        with self._lock:
            known = self._values.get(key)
            if known is None:
                self._values[key] = Future()
        if known is not None:
            return known.result()
        try:
            self._values[key].set_result(compute())
        except BaseException as error:
            self._values[key].set_exception(error)
            raise
        return self._values[key].result()
