"""What the tests of the sandbox share: one program's verdict, and where they can run."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest

from tasks.sandbox import Isolation, Limits, Verdict, check_available, run_programs
from wudi.errors import WudiError

GOOD = ("def double(x):\n    return 2 * x", "assert double(2) == 4")
WALL_SECONDS = 4.0
BRIEF = 0.5  # for programs that are expected to use up their time


def missing() -> str:
    """Why there is no sandbox here; empty where there is one."""
    try:
        check_available("bubblewrap")
    except WudiError as error:
        return str(error)
    return ""


MISSING = missing()
sandboxed = pytest.mark.skipif(bool(MISSING), reason=f"needs a working bubblewrap: {MISSING}")
isolations = pytest.mark.parametrize("isolation", [pytest.param("bubblewrap", marks=sandboxed), "none"])


def verdict_of(candidate: str, tests: str = "pass", isolation: Isolation = "bubblewrap", **limits: Any) -> Verdict:
    """The verdict on one program, after a check that it took its time limit at most and spoilt nothing for the next."""
    bounds = Limits(**{"wall_seconds": WALL_SECONDS, "memory_mb": 256, **limits})
    begin = time.monotonic()
    with unharmed():
        [verdict] = run_programs([(candidate, tests)], isolation=isolation, limits=bounds)
        assert run_programs([GOOD], isolation=isolation) == [Verdict(passed=True, outcome="passed", detail="")]
    assert time.monotonic() - begin < bounds.wall_seconds + 5
    return verdict


@contextmanager
def unharmed() -> Iterator[None]:
    """Check of the host that a program ran beside: a process lives, a file is whole, nothing is left open or undead."""
    open_before = len(list(Path("/dev/fd").iterdir()))
    with NamedTemporaryFile("w+") as file, subprocess.Popen(["sleep", "60"]) as bystander:
        try:
            file.write("whole")
            file.flush()
            yield
            assert Path(file.name).read_text() == "whole"
            assert bystander.poll() is None
            assert os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None, "a child is dead and not gone"
        finally:
            bystander.kill()
    assert len(list(Path("/dev/fd").iterdir())) == open_before
