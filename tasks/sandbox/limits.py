"""How much of the machine one program may use."""

import sys
from dataclasses import dataclass, fields

MEGABYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The bounds of one program; beyond each of them it fails or is killed.

    There is no limit on output because none is kept: standard output and error lead to the null device.
    """

    wall_seconds: float = 10.0
    """Seconds from the program's start to its verdict, whatever it does or waits for."""
    cpu_seconds: int = 10
    """Seconds of processor time, all threads together."""
    memory_mb: int = 512
    """Megabytes of address space, the interpreter's own (about 30, and 1 more per thread) among them."""
    threads: int = 32
    """Threads at one time. New processes are not allowed at all in the sandbox; with isolation "none" neither is
    bounded. Kernels before 5.14 count the user's other processes too, so that a program may get no thread there."""
    file_mb: int = 16
    """Megabytes of one file, and of the scratch folder as a whole."""
    files: int = 1000
    """Files in the scratch folder, counted ten times a second; not bounded with isolation "none"."""

    def __post_init__(self) -> None:
        """Refuse what would let nothing run."""
        for field in fields(self):
            if getattr(self, field.name) <= 0:
                raise ValueError(f"{field.name} must be above 0, got {getattr(self, field.name)}")

    def rlimits(self) -> list[tuple[str, int, int]]:
        """Return name, soft and hard value of the kernel's limits that bound one process on any Unix."""
        limits = [
            # The kernel signals at the soft limit and kills at the hard one: the signal says why the program ended.
            ("RLIMIT_CPU", self.cpu_seconds, self.cpu_seconds + 1),
            ("RLIMIT_FSIZE", self.file_mb * MEGABYTE, self.file_mb * MEGABYTE),
            ("RLIMIT_NOFILE", 64, 64),
            ("RLIMIT_CORE", 0, 0),
        ]
        if sys.platform != "darwin":  # where the kernel knows no such limit
            # The distance leaves the checker room to say that the memory ran out.
            limits.append(("RLIMIT_AS", self.memory_mb * MEGABYTE, (self.memory_mb + 16) * MEGABYTE))
        return limits

    def sandbox_rlimits(self) -> list[tuple[str, int, int]]:
        """Add the limit on threads: it counts per user, and only a sandbox has a user of its own."""
        # Four are the interpreter's main thread, the checker's and bubblewrap's own processes.
        return [*self.rlimits(), ("RLIMIT_NPROC", self.threads + 4, self.threads + 4)]
