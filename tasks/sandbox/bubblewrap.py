"""The command line that puts a Python interpreter into a sandbox, and the folders that it needs there."""

import contextlib
import functools
import itertools
import os
import random
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

Isolation = Literal["bubblewrap", "none"]

_LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/nix/store", "/etc/ld.so.cache")
_DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")

ENVIRONMENT: Final = {"PYTHONHASHSEED": "0", "MALLOC_ARENA_MAX": "1"}
"""What the interpreter starts with, and the program no longer sees.

String hashes are the same in every run, and threads do not reserve 64 megabytes of address space each, which would
count against the limit on memory.
"""

# Users that belong to nobody: the range that systemd hands out to short-lived services. A user of its own for every
# sandbox makes the kernel's limit on threads, which counts per user and never for root, that sandbox's own.
_FIRST_USER, _USERS = 61184, 4336
_next_user = itertools.count(random.SystemRandom().randrange(_USERS))


def sandbox_user() -> int | None:
    """Name the user that a program becomes under root; None where the sandbox maps an ordinary user to nobody."""
    return _FIRST_USER + next(_next_user) % _USERS if os.geteuid() == 0 else None


@contextlib.contextmanager
def as_file(content: bytes) -> Iterator[int]:
    """Yield a file descriptor that reads as `content`, for the few kilobytes that a pipe holds."""
    reader, writer = os.pipe()
    try:
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(content)
        yield reader
    finally:
        os.close(reader)


def command(*, seccomp: int, info: int, scratch_bytes: int) -> list[str]:
    """Return `bwrap` with all its options, to be followed by the interpreter's own command line.

    It reads the filter of system calls from the file `seccomp` and tells of its process in the file `info`.

    Root is not mapped into a user namespace: it would stay the owner of the machine's devices and settings there.
    Instead bubblewrap drops all its capabilities but two, with which the driver becomes another user at once.
    """
    namespaces = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    if os.geteuid() == 0:
        rights = ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        rights = ["--unshare-user", "--uid", "65534", "--gid", "65534", "--cap-drop", "ALL"]
    scratch = ["--chdir", "/"]
    if sizes_scratch():
        scratch = ["--perms", "1777", "--size", str(scratch_bytes), "--tmpfs", "/tmp", "--chdir", "/tmp"]
        # Where the C library keeps its named semaphores, hence also what `multiprocessing.pool.ThreadPool` needs.
        scratch += ["--symlink", "/tmp", "/dev/shm"]
    return [
        "bwrap",
        *namespaces,
        *rights,
        *("--die-with-parent", "--new-session", "--clearenv", "--hostname", "sandbox"),
        *(word for name, value in ENVIRONMENT.items() for word in ("--setenv", name, value)),
        *_folders(),
        *(word for device in _DEVICES for word in ("--dev-bind", device, device)),
        *scratch,
        # The sandbox's root is a folder in memory too, and nothing bounds its size.
        *("--remount-ro", "/"),
        *("--seccomp", str(seccomp)),
        *("--info-fd", str(info)),
        "--",
    ]


def interpreter() -> str:
    """Find the real file of the interpreter that this one's virtual environment stands on."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


@functools.cache
def _folders() -> tuple[str, ...]:
    """Options that show the interpreter, its standard library and the C library, read-only and nothing else."""
    prefixes = {Path(os.path.realpath(prefix)) for prefix in (sys.base_prefix, sys.base_exec_prefix)}
    wanted = {Path(interpreter()), *(prefix / name for prefix in prefixes for name in ("lib", "lib64"))}
    paths = sorted(path for path in {*wanted, *map(Path, _LIBRARIES)} if path.exists())
    parents = sorted({parent for path in [*paths, *map(Path, _DEVICES)] for parent in path.parents} - {Path("/")})
    # Left to bubblewrap, the folders on the way would be closed to everyone but root.
    options = [word for parent in parents for word in ("--perms", "0755", "--dir", str(parent))]
    for path in paths:
        if path.is_symlink():
            options += ["--symlink", str(path.readlink()), str(path)]
        else:
            options += ["--ro-bind", str(path), str(path)]
    return tuple(options)


@functools.cache
def sizes_scratch() -> bool:
    """Whether this bubblewrap can bound a folder in memory: from 0.7 on, and never where it is installed setuid.

    Where it cannot, programs have no folder to write to.
    """
    usage = subprocess.run(["bwrap", "--help"], capture_output=True, text=True, check=False).stdout
    path = shutil.which("bwrap")
    return path is not None and "--size" in usage and not Path(path).stat().st_mode & stat.S_ISUID
