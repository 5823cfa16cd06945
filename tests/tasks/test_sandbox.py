"""The sandbox gives programs the verdict that they deserve, and says what it lacks where it cannot run."""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tasks.sandbox import Isolation, Limits, Verdict, check_available, run_programs, seccomp
from tests.tasks.sandboxing import BRIEF, GOOD, isolations, sandboxed, verdict_of
from wudi.errors import WudiError

PROGRAMS = {
    "right": (*GOOD, "passed", ""),
    "empty": ("", "", "passed", ""),
    "human eval's form": ("def f(x):\n    return x", "def check(f):\n    assert f(1) == 1\ncheck(f)", "passed", ""),
    "wrong": ("def f(x):\n    return x", "assert f(1) == 2, 'not 2'", "failed", "AssertionError: not 2"),
    "no message": ("x = 1", "assert x == 2", "failed", "AssertionError"),
    "missing": ("", "assert f(1) == 2", "failed", "NameError: name 'f' is not defined"),
    "broken": ("def f(x:", "", "failed", "SyntaxError"),
    "broken tests": ("x = 1", "assert (", "failed", "SyntaxError"),
    "raising": ("raise ValueError('a\\nb\\0' + 'c' * 500)", "", "failed", "ValueError: a b?ccc"),
    "null byte": ("x = '\0'", "", "failed", ""),
    "half a character": ("x = '\ud800'", "", "failed", ""),
    "unicode": ("é = '→ 🙂'; print(é, '\\0')", "assert é == '→ 🙂'", "passed", ""),
    "unicode failure": ("raise ValueError('\\ud800 \\x1b[31m →')", "", "failed", "ValueError:"),
    "reads input": ("input()", "", "failed", "EOFError"),
    "asks for its name": ("assert __name__ != '__main__'", "", "passed", ""),
    "deep": ("def f(n):\n    return f(n + 1)", "f(0)", "failed", "RecursionError"),
    "hungry": ("x = bytearray(1 << 30)", "", "out_of_memory", "MemoryError"),
    "hungry in steps": ("x = []\nwhile True: x.append([0] * 1000)", "", "out_of_memory", "MemoryError"),
    "standard library": (
        "import asyncio, collections, dataclasses, decimal, hashlib, itertools, json, math, re, sqlite3, typing\n"
        "async def f(): return 3\n@dataclasses.dataclass\nclass A:\n    x: 'int' = 1",
        "assert asyncio.run(f()) == 3 and A() == A()",
        "passed",
        "",
    ),
    "threads": (
        "from multiprocessing.pool import ThreadPool\nwith ThreadPool(8) as pool: x = pool.map(abs, range(-20, 0))",
        "assert x[0] == 20",
        "passed",
        "",
    ),
    "scratch file": ("open('x', 'w').write('1')", "assert open('x').read() == '1'", "passed", ""),
}


@isolations
@pytest.mark.parametrize("name", PROGRAMS)
def test_what_programs_do_is_what_their_verdicts_say(name: str, isolation: Isolation) -> None:
    candidate, tests, outcome, detail = PROGRAMS[name]
    verdict = verdict_of(candidate, tests, isolation)
    assert (verdict.outcome, verdict.passed) == (outcome, outcome == "passed")
    assert detail in verdict.detail
    assert len(verdict.detail) <= 300 and verdict.detail.isprintable()


@isolations
@pytest.mark.parametrize(
    "candidate",
    [
        "while True: pass",
        "import time\ntime.sleep(60)",
        "import re\nre.match('(a+)+$', 'a' * 40 + 'b')",  # holds the interpreter's lock, so nothing else in it runs
    ],
)
def test_a_program_that_does_not_end_is_stopped(candidate: str, isolation: Isolation) -> None:
    assert verdict_of(candidate, "", isolation, wall_seconds=BRIEF) == Verdict(
        passed=False, outcome="timed_out", detail="no end within 0.5 s"
    )


@isolations
def test_processor_time_is_limited_for_all_threads_together(isolation: Isolation) -> None:
    candidate = "import threading\ndef f():\n  while True: pass\nfor _ in range(4): threading.Thread(target=f).start()"
    verdict = verdict_of(candidate, "f()", isolation, wall_seconds=20, cpu_seconds=1)
    assert verdict == Verdict(passed=False, outcome="timed_out", detail="used up its processor time")


@isolations
def test_verdicts_keep_the_order_of_the_programs(isolation: Isolation) -> None:
    programs = [(f"import time; time.sleep({0.3 if i % 3 == 0 else 0})", f"assert {i} % 2") for i in range(12)]
    seen = []

    def track(items: Sequence[Any], description: str) -> Iterator[Any]:
        for item in items:
            seen.append(description)
            yield item

    verdicts = run_programs(programs, isolation=isolation, workers=4, track=track)
    assert [verdict.passed for verdict in verdicts] == [bool(i % 2) for i in range(12)]
    assert len(seen) == 12
    assert run_programs([]) == []


@isolations
def test_a_program_gets_the_same_verdict_in_every_run(isolation: Isolation) -> None:
    verdicts = run_programs([("x = list(set('abcdefgh'))", "raise ValueError(x)")] * 3, isolation=isolation)
    assert len({verdict.detail for verdict in verdicts}) == 1


@pytest.mark.parametrize("name", ["wall_seconds", "cpu_seconds", "memory_mb", "threads", "file_mb"])
def test_limits_are_above_zero(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be above 0, got 0"):
        Limits(**{name: 0})


def test_missing_bubblewrap_is_told_with_its_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(seccomp, "supported", lambda: True)
    with pytest.raises(
        WudiError, match=r"apt-get install bubblewrap.*dnf install bubblewrap.*evaluation\.sandbox: none"
    ):
        check_available("bubblewrap")


@sandboxed
def test_bubblewrap_that_cannot_work_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(WudiError, match=r"bwrap: No permissions to create new namespace.*evaluation\.sandbox: none"):
        check_available("bubblewrap")
    with pytest.raises(WudiError, match="No permissions"):
        run_programs([GOOD])


def test_other_systems_are_told_that_it_takes_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(WudiError, match="Linux only"):
        check_available("bubblewrap")
    check_available("none")


@isolations
def test_where_an_object_lies_is_no_part_of_a_verdict(isolation: Isolation) -> None:
    verdict = verdict_of("class A: pass", "raise ValueError(A(), f'0x{255:x}')", isolation)
    assert "A object at 0x...>" in verdict.detail
    assert "0xff" in verdict.detail
