"""The GPUs of this machine, and who has which: no two stages share one, of whatever run and whichever user."""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from threading import Event, Lock, Thread

from flows.stopping import Stopped, Stopping

FOLDER = "wudi-gpus"
"""In the machine's folder for temporary files: one empty file a GPU, locked by who has it."""

TOUCH_SECONDS = 3600.0
"""How often the files of taken GPUs are given the present time: to a cleaner of old files they are never old."""


class Gpus:
    """The GPUs that this process may use.

    A GPU is taken by a lock on its file, which belongs to the open file: the system drops it when the last process
    that holds it open has ended, however that ended, so a file that was left behind means nothing. One that is locked
    must stay, or the next stage would lock another in its place: it is kept from growing old.
    """

    def __init__(self, names: Sequence[str] | None = None) -> None:
        listing = gpu_listing()
        self.names = tuple(dict.fromkeys(visible_gpus(listing) if names is None else names))
        self._files = {name: lock_file(identity(name, listing)) for name in self.names}
        # One stage at a time looks for GPUs, or one that needs several would wait behind all that need one.
        self._turn = Lock()

    @contextmanager
    def take(self, count: int, stopping: Stopping) -> Iterator[Mapping[str, int]]:
        """Wait for so many GPUs, or for all where there are fewer, and hold them.

        None is held while waiting for others, so two stages never wait for each other's. Yields their names with the
        open files that lock them, which a stage's process is to hold open too.

        Raises:
            Stopped: `stopping` was set before they were free.
        """
        with ExitStack() as held:
            taken: dict[str, int] = {}
            with turn(self._turn, stopping):
                while not (taken := self._free(min(count, len(self.names)))):
                    if stopping.wait(0.5):
                        raise Stopped
            for lock in taken.values():
                held.callback(os.close, lock)
            held.enter_context(kept_young(tuple(taken.values())))
            yield taken

    def _free(self, count: int) -> dict[str, int]:
        """Lock so many GPUs, or none."""
        taken: dict[str, int] = {}
        for name in self.names:
            lock = try_lock(self._files[name])
            if lock is None:
                continue
            taken[name] = lock
            if len(taken) == count:
                return taken
        for lock in taken.values():
            os.close(lock)
        return {}


@contextmanager
def turn(lock: Lock, stopping: Stopping) -> Iterator[None]:
    """Wait for a lock and hold it.

    Raises:
        Stopped: `stopping` was set before it was free.
    """
    while not lock.acquire(timeout=0.2):
        if stopping.is_set():
            raise Stopped
    try:
        yield
    finally:
        lock.release()


def lock_file(identity: str) -> Path:
    """The file whose lock stands for a GPU."""
    return Path(tempfile.gettempdir()) / FOLDER / re.sub(r"[^\w.-]", "_", identity)


def try_lock(path: Path) -> int | None:
    """Lock a GPU's file and return it, open; None where somebody has locked it."""
    while True:
        lock = open_lock(path)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        # It may have been removed before it was locked, and others lock the one that is there now.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), path.stat(follow_symlinks=False)):
                return lock
        os.close(lock)


def open_lock(path: Path) -> int:
    """Open a lock's file, made if it is not there; somebody else's is opened as it is.

    Every user may lock it, and write to it too: who may not, may not set its times either.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    with suppress(FileNotFoundError):
        return os.open(path, flags)
    with suppress(FileExistsError):
        path.parent.mkdir()
        path.parent.chmod(0o1777)
    with suppress(FileExistsError):
        made = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
        os.fchmod(made, 0o666)
        return made
    return os.open(path, flags)


@contextmanager
def kept_young(locks: Sequence[int], seconds: float = TOUCH_SECONDS) -> Iterator[None]:
    """Give open files the present time, now and every so many seconds."""
    ended = Event()

    def touch() -> None:
        for lock in locks:
            with suppress(PermissionError):  # an older one, which nobody but its owner may write to
                os.utime(lock)

    def go_on() -> None:
        while not ended.wait(seconds):
            touch()

    touch()
    touching = Thread(target=go_on, name="gpu-locks", daemon=True)
    touching.start()
    try:
        yield
    finally:
        ended.set()
        touching.join()


def gpu_listing() -> str:
    """What NVIDIA's driver lists; it is asked because importing torch costs seconds."""
    if shutil.which("nvidia-smi") is None:
        return ""
    return subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False).stdout


def visible_gpus(listing: str) -> tuple[str, ...]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return listed_gpus(listing)
    # CUDA ends the list at the first entry that is no device: -1 is the usual way to write "none".
    return tuple(gpu for gpu in takewhile(lambda gpu: gpu != "-1", map(str.strip, chosen.split(","))) if gpu)


def listed_gpus(listing: str) -> tuple[str, ...]:
    """The devices in the output of `nvidia-smi -L`: parts of split GPUs by their identifier, whole ones by number."""
    parts = re.findall(r"UUID: (MIG-[^)]+)\)", listing)
    return tuple(parts or re.findall(r"^GPU (\d+):", listing, flags=re.MULTILINE))


def identity(name: str, listing: str) -> str:
    """One name for a GPU that may be named by its number and by (the beginning of) its identifier."""
    numbered = dict(re.findall(r"^GPU (\d+):.*UUID: (GPU-[^)]+)\)", listing, flags=re.MULTILINE))
    if name in numbered:
        return numbered[name]
    found = [uuid for uuid in re.findall(r"UUID: ([^)]+)\)", listing) if uuid.startswith(name)]
    return found[0] if len(found) == 1 else name
