"""How many stages run at once: so many workers, and on a machine with GPUs one stage a GPU."""

import os
import queue
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event

from flows.stage import Stopped


class Slots:
    """Hands out a place to run, with the environment variables that belong to it.

    A stage that needs a GPU takes one where the machine has any, and no worker: its work is on the GPU. Where
    there is none it is a stage like the others.
    """

    def __init__(self, workers: int, gpus: Sequence[str]) -> None:
        self._workers = filled([{}] * workers)
        self._gpus = filled([{"CUDA_VISIBLE_DEVICES": gpu} for gpu in gpus]) if gpus else self._workers

    @contextmanager
    def take(self, *, gpu: bool, stopping: Event) -> Iterator[Mapping[str, str]]:
        """Wait for a place and hold it; yields the variables to run with.

        Raises:
            Stopped: `stopping` was set before a place was free.
        """
        places = self._gpus if gpu else self._workers
        while not stopping.is_set():
            try:
                place = places.get(timeout=0.2)
            except queue.Empty:
                continue
            try:
                yield place
            finally:
                places.put(place)
            return
        raise Stopped


def filled(places: Sequence[Mapping[str, str]]) -> queue.SimpleQueue[Mapping[str, str]]:
    """A queue that holds the places."""
    places_left: queue.SimpleQueue[Mapping[str, str]] = queue.SimpleQueue()
    for place in places:
        places_left.put(place)
    return places_left


def visible_gpus() -> tuple[str, ...]:
    """The machine's GPUs, as CUDA_VISIBLE_DEVICES names them.

    The driver is asked, because importing torch costs seconds. A GPU that is split (MIG) counts as its parts.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        # CUDA ends the list at the first entry that is no device: -1 is the usual way to write "none".
        return tuple(gpu.strip() for gpu in chosen.partition("-1")[0].split(",") if gpu.strip())
    if shutil.which("nvidia-smi") is None:
        return ()
    listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout
    return listed_gpus(listing)


def listed_gpus(listing: str) -> tuple[str, ...]:
    """The devices in the output of `nvidia-smi -L`: parts of split GPUs by their identifier, whole ones by number."""
    parts = re.findall(r"UUID: (MIG-[^)]+)\)", listing)
    return tuple(parts or re.findall(r"^GPU (\d+):", listing, flags=re.MULTILINE))
