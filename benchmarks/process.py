"""A whole command line: the seconds from its start to its end, and the peak memory of its processes.

Linux counts towards a new process the peak of the one that starts it. So the command is started by a small process that
has imported next to nothing: this module, run as a program.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wudi.errors import WudiError

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Run:
    """What one run of a command took; files that are mapped count towards its memory in bytes."""

    seconds: float
    memory: int


def measured(command: Sequence[str | Path], environment: Mapping[str, str]) -> Run:
    """Run a command, its output unseen.

    Raises:
        WudiError: The command failed.
    """
    starter = [sys.executable, "-m", "benchmarks.process", *map(str, command)]
    ended = subprocess.run(starter, capture_output=True, text=True, cwd=ROOT, env=dict(environment))
    if ended.returncode:
        said = " ".join(ended.stderr.strip().splitlines()[-3:]) or "it said nothing"
        raise WudiError(f"{' '.join(map(str, command))}: failed with status {ended.returncode}: {said}")
    seconds, memory = json.loads(ended.stdout.splitlines()[-1])
    return Run(seconds, memory)


def main() -> None:
    """Run the command of the arguments, its output on stderr, and print its seconds and peak memory as JSON."""
    started = time.perf_counter()
    status = subprocess.run(sys.argv[1:], stdout=sys.stderr).returncode
    seconds = time.perf_counter() - started
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024]))
    sys.exit(status)


if __name__ == "__main__":
    main()
