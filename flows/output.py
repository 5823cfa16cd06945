"""A process's output as lines for a log: no colours, and of a progress bar only a look now and then."""

import codecs
import os
import re
import selectors
import time
from collections.abc import Callable, Iterator
from typing import IO

BAR_SECONDS = 10.0
"""One redraw of a progress bar in so many seconds is let through."""

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


def read_lines(stream: IO[bytes], *, until: Callable[[], bool]) -> Iterator[str | None]:
    """Each line as it comes, and None at least every fifth of a second, so that the reader can look at its clock.

    Ends at the end of the stream, or when `until` holds and nothing is left to read: a command may leave a process
    behind that keeps the stream open.
    """
    lines = Lines()
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            ended = until()
            if selector.select(timeout=0.0 if ended else 0.2):
                data = os.read(stream.fileno(), 65536)
                if not data:
                    break
                yield from lines.feed(data)
            elif ended:
                break
            yield None
    yield from lines.rest()


class Lines:
    """Cuts output into lines; text that ends in a carriage return is a progress bar about to be redrawn."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._clock = clock
        self._text = ""
        self._next_bar = clock()

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that the data completes."""
        self._text += self._decode(data)
        # A carriage return at the very end may be the first half of a line's end.
        *pieces, self._text = re.split(r"(?<=\n)|(?<=\r)(?!\n|$)", self._text)
        for piece in pieces:
            line = ESCAPES.sub("", piece).rstrip("\r\n")
            if piece.endswith("\n"):
                yield line
            elif line.strip() and self._clock() >= self._next_bar:
                self._next_bar = self._clock() + BAR_SECONDS
                yield line

    def rest(self) -> Iterator[str]:
        """What was left without an end."""
        line = ESCAPES.sub("", self._text + self._decode(b"", True)).rstrip("\r\n")
        self._text = ""
        if line:
            yield line
