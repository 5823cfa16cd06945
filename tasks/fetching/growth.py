"""A bar over the bytes of a folder that something else fills."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from tasks.console import console

SECONDS = 0.5


@contextmanager
def growth(folder: Path, description: str, total: int) -> Iterator[None]:
    """Show how far `folder` has grown towards `total` bytes; nothing is drawn where the output is not a terminal."""
    if not console.is_interactive:
        yield
        return
    columns = [TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()]
    with Progress(*columns, TextColumn("left"), TimeRemainingColumn(), console=console, transient=True) as bars:
        task = bars.add_task(description, total=total or None)
        done = threading.Event()

        def watch() -> None:
            while not done.wait(SECONDS):
                bars.update(task, completed=min(bytes_in(folder), total))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def bytes_in(folder: Path) -> int:
    """The bytes of all files below a folder, of which any may vanish meanwhile."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except OSError:
            continue
    return total
