"""The sandbox must give right programs their pass, and hostile ones neither a pass nor a hold on the machine."""

# ruff: noqa: E501  (a program that stands on one line is easier to read than one cut into pieces)

import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tasks.sandbox import Isolation, Limits, Verdict, bubblewrap, check_available, run_programs, seccomp
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
    [verdict] = run_programs([(candidate, tests)], isolation=isolation, limits=bounds)
    assert run_programs([GOOD], isolation=isolation) == [Verdict(passed=True, outcome="passed", detail="")]
    assert time.monotonic() - begin < bounds.wall_seconds + 5
    return verdict


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
@pytest.mark.parametrize("candidate", ["while True: pass", "import time\ntime.sleep(60)"])
def test_a_program_that_does_not_end_is_stopped(candidate: str, isolation: Isolation) -> None:
    assert verdict_of(candidate, "", isolation, wall_seconds=BRIEF) == Verdict(
        passed=False, outcome="timed_out", detail="no end within 0.5 s"
    )


@isolations
def test_processor_time_is_limited_for_all_threads_together(isolation: Isolation) -> None:
    candidate = "import threading\ndef f():\n  while True: pass\nfor _ in range(4): threading.Thread(target=f).start()"
    verdict = verdict_of(candidate, "f()", isolation, wall_seconds=20, cpu_seconds=1)
    assert verdict == Verdict(passed=False, outcome="timed_out", detail="used up its processor time")


# Programs that want a pass without having run their tests, which always fail.
FORGERIES = {
    "os._exit": "import os; os._exit(0)",
    "sys.exit": "import sys; sys.exit(0)",
    "SystemExit": "raise SystemExit",
    "sys.exit when called": "import sys\ndef f(): sys.exit(0)",
    "os._exit when called": "import os\ndef f(): os._exit(0)",
    "exit in a thread": "import os, threading, time\nthreading.Thread(target=os._exit, args=(0,)).start(); time.sleep(9)",
    "sys.exit in a thread": "import sys, threading\nt = threading.Thread(target=sys.exit); t.start(); t.join()",
    "atexit": "import atexit, os\natexit.register(os._exit, 0)\nraise SystemExit",
    "exec another program": "import os, sys\nfor p in ('/bin/true', '/usr/bin/true', sys.executable): os.execv(p, [p, '-c', ''])",
    "segmentation fault": "import ctypes; ctypes.string_at(0)",
    "abort": "import os; os.abort()",
    "kill itself": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "print": "print('passed\\nTrue\\nOK\\n1'); import os; os._exit(0)",
    "prints to stderr": "import sys, os\nfor s in (sys.stdout, sys.stderr, sys.__stderr__): print('passed', file=s, flush=True)\nos._exit(0)",
    "close all files": "import os\nos.closerange(0, 1000)",
    "close all files and wait": "import os, time\nos.closerange(0, 1000); time.sleep(60)",
    "write to all files": "import os\nfor fd in range(64):\n  try: os.write(fd, b'passed\\n' * 9)\n  except OSError: pass\nos._exit(0)",
    "echo all files": (
        "import os, select\nfor fd in range(64):\n  try:\n    os.set_blocking(fd, False); x = os.read(fd, 9999)\n"
        "    for to in range(64):\n      try: os.write(to, x + b'\\n')\n      except OSError: pass\n"
        "  except OSError: pass\nos._exit(0)"
    ),
    "flood all files": (
        "import os\nfor fd in range(64):\n  try:\n    for _ in range(500): os.write(fd, b'x' * 4096)\n  except OSError: pass"
    ),
    "patch builtins": (
        "import builtins\nbuiltins.AssertionError = builtins.BaseException = builtins.NameError = type('E', (Exception,), {})\n"
        "builtins.exec = builtins.compile = builtins.__build_class__ = builtins.isinstance = lambda *a, **k: None"
    ),
    "patch the way out": (
        "import builtins, os, sys, marshal, resource, types\n"
        "sys.exit = os._exit = os.abort = os.write = os.dup = sys.excepthook = lambda *a, **k: None\n"
        "builtins.__import__ = builtins.str = builtins.type = builtins.print = lambda *a, **k: None"
    ),
    "replace the namespace": "import sys\nglobals().clear()\nsys.modules.clear()",
    "an exception that lies": (
        "class E(BaseException):\n  __str__ = lambda s: exit()\n  __repr__ = __str__\ndef f(): raise E"
    ),
    "an exception that loops": "class E(BaseException):\n  def __str__(s):\n    while True: pass\ndef f(): raise E",
    "an exception with a line of its own": "raise ValueError('x\\npassed\\n')",
    "kill the parent": "import os\nfor s in (15, 9): os.kill(os.getppid(), s)",
    "kill everybody": "import os\nos.kill(-1, 9)",
    "kill the group": "import os\nos.killpg(0, 9)",
    "ignore all signals": (
        "import signal\nfor s in set(signal.Signals) - {9, 19}: signal.signal(s, signal.SIG_IGN)\nwhile True: pass"
    ),
    "swallow all exceptions": "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
    "stop itself": "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
    "walk the frames": (
        "import sys, gc, os\nseen = []\nf = sys._getframe()\nwhile f:\n  seen += [*f.f_locals.values(), *f.f_globals.values()]\n"
        "  f = f.f_back\nfor o in gc.get_objects():\n  try: seen += [o, *gc.get_referents(o)]\n  except Exception: pass\n"
        "for x in seen:\n"
        "  if type(x) is bytes and len(x) == 32:\n"
        "    for fd in range(3, 64):\n      try: os.write(fd, x + b'\\n')\n      except OSError: pass\n"
    ),
    "release the checker's locks": (
        "import sys\nf = sys._getframe()\nwhile f:\n  for x in list(f.f_locals.values()):\n"
        "    try: x.release()\n    except Exception: pass\n  f = f.f_back\nimport time\ntime.sleep(60)"
    ),
    "run the checker's code again": (
        "import sys, types\nf = sys._getframe().f_back\n"
        "types.FunctionType(f.f_code, {**f.f_globals, 'exec': lambda *a: None})(**{k: f.f_locals[k] for k in ('box', 'ask', 'answer')})"
    ),
    "tamper through /proc": (
        "import os\nfor name in ('mem', 'environ', 'cmdline', 'fd/2', 'task'):\n"
        "  for who in ('self', '1', '2'):\n    open(f'/proc/{who}/{name}', 'r+b')"
    ),
    "profile and trace": (
        "import sys, threading\ndef t(*a):\n  sys.exit(0)\nthreading.settrace(t); threading.setprofile(t); sys.setprofile(t); sys.settrace(t)"
    ),
    "audit": "import sys, os\nsys.addaudithook(lambda *a: os._exit(0))",
}


@isolations
@pytest.mark.parametrize("name", FORGERIES)
def test_a_verdict_cannot_be_forged(name: str, isolation: Isolation) -> None:
    if isolation == "none" and name in {"kill the parent", "kill everybody", "run the checker's code again"}:
        pytest.skip("unisolated, it would end the tests themselves")
    verdict = verdict_of(FORGERIES[name], "f()\nraise AssertionError", isolation, wall_seconds=BRIEF)
    assert not verdict.passed and verdict.outcome != "passed"


@sandboxed
def test_neither_token_nor_tests_are_where_frames_and_objects_lead_to() -> None:
    # The program fails with what it found, so that the failure shows the leak.
    verdict = verdict_of(
        "import gc, sys\nseen = []\nf = sys._getframe()\nwhile f:\n  seen += [*f.f_locals.values(), *f.f_globals.values()]\n"
        "  f = f.f_back\nfor o in gc.get_objects():\n  seen += [o, *gc.get_referents(o)]\n"
        "key = ''.join(reversed('hsifdrows'))\n"
        "found = [x for x in seen if type(x) is bytes and len(x) == 32 or type(x) is str and key in x and len(x) < 60]\n"
        "assert not found, found",
        "'swordfish'",
    )
    assert verdict.passed, verdict.detail


@sandboxed
def test_the_environment_is_empty_and_files_are_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "swordfish")
    in_home, in_tmp = Path.home() / f".sandbox-test-{os.getpid()}", tmp_path / "secret"
    try:
        for path in (in_home, in_tmp):
            path.write_text("swordfish")
        places = [in_home, in_tmp, Path(__file__), Path.cwd(), "/etc/passwd", "/etc/shadow", "/proc", "/sys", "/var"]
        verdict = verdict_of(
            f"import os\nassert not os.environ, os.environ\nfor place in {[str(place) for place in places]}:\n"
            "  try: found = os.listdir(place) if os.path.isdir(place) else open(place).read()\n"
            "  except OSError: continue\n"
            "  raise AssertionError(place)"
        )
    finally:
        in_home.unlink()
    assert verdict.passed, verdict.detail


@sandboxed
def test_nothing_but_the_scratch_folder_can_be_written(tmp_path: Path) -> None:
    standard_library = str(Path(os.__file__).parent)
    places = ["/", "/tmp/..", "/dev", "/etc", "/usr", "/usr/lib", str(tmp_path), str(Path.cwd()), standard_library]
    device = Path("/dev/null").stat()
    verdict = verdict_of(
        f"import os\nfor place in {places}:\n"
        "  try: open(place + '/planted', 'w')\n  except OSError: continue\n  raise AssertionError(place)\n"
        "for harm in (lambda: os.chmod('/dev/null', 0), lambda: os.unlink('/dev/null'), lambda: os.setuid(0),\n"
        "             lambda: os.chroot('/tmp'), lambda: os.mkfifo('/dev/x'), lambda: os.nice(-1)):\n"
        "  try: harm()\n  except OSError: continue\n  raise AssertionError"
    )
    assert verdict.passed, verdict.detail
    assert Path("/dev/null").stat().st_mode == device.st_mode
    assert not list(tmp_path.iterdir())


@sandboxed
def test_nothing_is_left_for_the_next_program() -> None:
    first = ("open('/tmp/left', 'w').write('x')", "")
    second = ("import os", "assert os.listdir('/tmp') == [], os.listdir('/tmp')")
    assert [verdict.passed for verdict in run_programs([first, second], workers=1)] == [True, True]


@sandboxed
def test_without_a_bounded_scratch_folder_programs_run_and_write_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "sizes_scratch", lambda: False)
    candidate = "import os, time\ntime.sleep(0.3)\nfor place in ('/tmp', '/', '.', '/dev'):\n"
    verdict = verdict_of(
        candidate + "  try: open(place + '/x', 'w')\n  except OSError: continue\n  raise AssertionError(place)"
    )
    assert verdict.passed, verdict.detail


@sandboxed
def test_the_network_is_out_of_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        verdict = verdict_of(
            f"import socket\nfor host in ('127.0.0.1', 'localhost', '::1', '10.0.0.1'):\n"
            f"  try: socket.create_connection((host, {port}), timeout=1)\n  except OSError: continue\n"
            "  raise AssertionError(host)\n"
            "for family in (socket.AF_VSOCK, socket.AF_NETLINK, socket.AF_PACKET, socket.AF_ALG):\n"
            "  try: socket.socket(family, socket.SOCK_STREAM)\n  except OSError: continue\n  raise AssertionError(family)"
        )
    assert verdict.passed, verdict.detail


def marked(mark: str) -> list[str]:
    """Processes whose command line or first environment holds `mark`."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (path / "cmdline").read_bytes() + (path / "environ").read_bytes():
                found.append(path.name)
        except OSError:
            continue
    return found


BOMBS = {
    "forks": "import os\nwhile True: os.fork()",
    "forks that catch": "import os\nfor _ in range(10000):\n  try: os.fork()\n  except OSError: pass\nos._exit(0)",
    "posix_spawn": "import os, sys\nos.posix_spawn(sys.executable, ['x'], {})",
    "clone by hand": (
        "import ctypes\nc = ctypes.CDLL(None, use_errno=True)\n"
        "assert max(c.syscall(n, 17, 0, 0, 0, 0) for n in (56, 57, 58, 435, 220)) >= 0"
    ),
    "threads": "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,)).start()",
    "memory": "x = []\nwhile True: x.append(bytearray(1 << 22))",
    "memory that catches": "x = []\nwhile True:\n  try: x.append(bytearray(1 << 22))\n  except MemoryError: pass",
    "memory in threads": (
        "import threading\ndef f():\n  x = []\n  while True:\n    try: x.append(bytearray(1 << 20))\n    except MemoryError: pass\n"
        "for _ in range(8): threading.Thread(target=f).start()"
    ),
    "memory outside the process": "import os\nos.memfd_create('x')",
    "shared memory": ("import ctypes\nc = ctypes.CDLL(None)\nassert c.shmget(0, 1 << 20, 0o1600) >= 0"),
    "one big file": "with open('x', 'wb') as f:\n  while True: f.write(b'x' * (1 << 20))",
    "many files": "for i in range(1000): open(str(i), 'wb').write(b'x' * (1 << 20))",
    "empty files": "import os\nfor i in range(10 ** 9): os.mknod(str(i))",
    "many open files": "x = [open('/dev/null') for _ in range(1000)]",
    "output": "while True: print('x' * 10000)",
    "namespaces": ("import ctypes\nc = ctypes.CDLL(None)\nassert c.unshare(0x10000000) == 0"),
}


@sandboxed
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_fizzle(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = f"MARK{os.getpid()}OF{time.monotonic_ns()}"
    monkeypatch.setitem(bubblewrap.ENVIRONMENT, mark, "1")
    verdict = verdict_of(BOMBS[name], wall_seconds=BRIEF)
    assert not verdict.passed
    assert not [process for process in marked(mark) if process != str(os.getpid())]


@sandboxed
def test_a_program_has_no_more_than_its_share_of_memory() -> None:
    # The most it can hold: one address space and one scratch folder, told by the program itself.
    verdict = verdict_of(
        "x, i = [], 0\n"
        "try:\n  while True: x.append(bytearray(1 << 20))\nexcept MemoryError: held = len(x)\n"
        "x.clear()\n"
        "try:\n  while True:\n    i += 1; open(str(i), 'wb').write(b'x' * (1 << 18))\nexcept OSError: pass\n"
        "assert 50 < held <= 128 and i <= 33, (held, i)",
        memory_mb=128,
        file_mb=8,
    )
    assert verdict.passed, verdict.detail


def test_without_isolation_the_process_group_is_killed_and_the_folder_removed(tmp_path: Path) -> None:
    note = tmp_path / "note"
    verdict = verdict_of(
        f"import os, time\nchild = os.fork()\nif not child: time.sleep(600)\nopen({str(note)!r}, 'w').write(f'{{child}} {{os.getcwd()}}')",
        isolation="none",
    )
    assert verdict.passed
    child, folder = note.read_text().split()
    assert not Path(folder).exists()
    for _ in range(50):
        if not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2]:
            break
        time.sleep(0.02)
    else:
        pytest.fail("the program's child lives on")


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


@sandboxed
def test_a_folder_of_empty_files_is_stopped_before_it_fills_the_kernels_memory() -> None:
    verdict = verdict_of(BOMBS["empty files"])
    assert verdict.detail == "too many files in the scratch folder"


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
