"""No program in the sandbox reads, writes, reaches or uses up what is not its own."""

# ruff: noqa: E501  (a program that stands on one line is easier to read than one cut into pieces)

import os
import socket
import time
from pathlib import Path

import pytest

from tasks.sandbox import bubblewrap, run_programs
from tests.tasks.sandboxing import BRIEF, sandboxed, verdict_of


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
        socket.create_connection(("127.0.0.1", port)).close()
        verdict = verdict_of(
            f"import socket\nfor host in ('127.0.0.1', 'localhost', '::1', '10.0.0.1'):\n"
            f"  try: socket.create_connection((host, {port}), timeout=1)\n  except OSError: continue\n"
            "  raise AssertionError(host)\n"
            "for family in (socket.AF_INET, socket.AF_INET6, socket.AF_VSOCK, socket.AF_NETLINK, socket.AF_PACKET, socket.AF_ALG):\n"
            "  try: socket.socket(family, socket.SOCK_STREAM)\n  except OSError: continue\n  raise AssertionError(family)"
        )
    assert verdict.passed, verdict.detail


@sandboxed
@pytest.mark.parametrize("name", ["\0sandbox-test-{}", "/dev/shm/sandbox-test-{}", "/tmp/sandbox-test-{}"])
def test_the_sockets_of_other_programs_are_out_of_reach(name: str) -> None:
    address = name.format(os.getpid())
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        try:
            server.bind(address)
            server.listen()
            client.connect(address)
            verdict = verdict_of(
                f"import socket\nours = socket.socket(socket.AF_UNIX)\ntry: ours.connect({address!r})\n"
                "except OSError: pass\nelse: raise AssertionError('connected')\nours.bind('\\0x'); ours.listen()"
            )
        finally:
            Path(address).unlink(missing_ok=True) if address[0] == "/" else None
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
        "threads = [threading.Thread(target=f) for _ in range(8)]\n"
        "for t in threads: t.start()\nfor t in threads: t.join()"
    ),
    "memory outside the process": "import os\nos.memfd_create('x')",
    "shared memory": ("import ctypes\nc = ctypes.CDLL(None)\nassert c.shmget(0, 1 << 20, 0o1600) >= 0"),
    "one big file": "with open('x', 'wb') as f:\n  while True: f.write(b'x' * (1 << 20))",
    "many files": "for i in range(1000): open(str(i), 'wb').write(b'x' * (1 << 20))",
    "empty files": "import os\nfor i in range(10 ** 9): os.mknod(str(i))",
    "empty files, and nobody may count them": (
        "import ctypes, sys\nsys.setswitchinterval(1e6)\nmknod = ctypes.PyDLL(None).mknod\n"
        "for i in range(10 ** 9): mknod(b'%d' % i, 0o100600, 0)"
    ),
    "attributes of a file": (
        "import os\nopen('x', 'w')\nfor i in range(10 ** 9): os.setxattr('x', f'user.{i}', b'x' * 60000)"
    ),
    "connections": "import socket\nwhile True: socket.create_server(('', 0))",
    "full sockets": (
        "import socket\nx = []\nwhile True:\n  x += socket.socketpair()\n  x[-1].setblocking(False)\n"
        "  try:\n    while True: x[-1].send(b'x' * 65536)\n  except BlockingIOError: pass"
    ),
    "the machine's asynchronous input and output": (
        "import ctypes, platform\nx = ctypes.c_ulong(0)\n"
        "number = {'x86_64': 206, 'aarch64': 0}[platform.machine()]\n"
        "assert ctypes.CDLL(None).syscall(number, 60000, ctypes.byref(x)) == 0"
    ),
    "a session of its own": "import os, time\nos.setsid()\ntime.sleep(60)",
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


@sandboxed
@pytest.mark.parametrize("name", ["empty files", "empty files, and nobody may count them"])
def test_a_folder_of_empty_files_is_stopped_before_it_fills_the_kernels_memory(name: str) -> None:
    verdict = verdict_of(BOMBS[name])
    assert verdict.detail == "too many files in the scratch folder"
