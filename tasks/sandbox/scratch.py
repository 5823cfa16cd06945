"""How full a sandbox's scratch folder is, seen from outside, where no program can keep anyone from counting."""

import contextlib
import os
import re
from types import TracebackType
from typing import Final, Self

_CHILD: Final = re.compile(rb'"child-pid": (\d+)')


class Scratch:
    """The folder's count of files while a `with` block lasts; bubblewrap tells through `writer` where it is.

    A kernel that shows no other process's folders leaves the count to the checker inside the sandbox, which a program
    can hold up.
    """

    def __init__(self, files: int) -> None:
        self._files = files
        self._folder: int | None = None
        self._asked = False
        self._reader, self.writer = os.pipe()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in (self._reader, self.writer, self._folder):
            if descriptor is not None:
                os.close(descriptor)

    def crowded(self) -> bool:
        """Whether it holds more files than are allowed; to be asked of a program that has started."""
        if not self._asked:
            self._asked = True
            self._open()
        if self._folder is None:
            return False
        state = os.fstatvfs(self._folder)
        return state.f_files - state.f_ffree > self._files

    def _open(self) -> None:
        # A program that has started is in its own root folder; before, this would be the machine's.
        os.set_blocking(self._reader, False)
        with contextlib.suppress(OSError):
            if told := _CHILD.search(os.read(self._reader, 4096)):
                self._folder = os.open(f"/proc/{int(told[1])}/root/tmp", os.O_PATH | os.O_DIRECTORY)
