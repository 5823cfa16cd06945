"""No program gets a pass without having run its tests, and none harms what stands beside it."""

# ruff: noqa: E501  (a program that stands on one line is easier to read than one cut into pieces)

import pytest

from tasks.sandbox import Isolation
from tests.tasks.sandboxing import BRIEF, isolations, sandboxed, verdict_of

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
    "an exception whose kind has no name": (
        "class M(type):\n  __name__ = property(lambda s: exit())\nclass E(BaseException, metaclass=M): pass\ndef f(): raise E"
    ),
    "an exception whose text is code": (
        "class S(str):\n  __getitem__ = __format__ = lambda *a: exit()\nclass E(BaseException):\n  __str__ = lambda s: S('x')\n"
        "def f(): raise E"
    ),
    "leave when collected": "import os\nclass A:\n  def __del__(s): os._exit(0)\ndef f():\n  a = A()\n  raise ValueError",
    "an exception that loops": "class E(BaseException):\n  def __str__(s):\n    while True: pass\ndef f(): raise E",
    "an exception with a line of its own": "raise ValueError('x\\npassed\\n')",
    "kill the parent": "import os\nfor s in (15, 9): os.kill(os.getppid(), s)",
    "kill everybody": "import os\nos.kill(-1, 9)",
    "kill the group": "import os\nos.killpg(0, 9)",
    "ignore all signals": (
        "import signal\nfor s in set(signal.Signals) - {9, 19}: signal.signal(s, signal.SIG_IGN)\nwhile True: pass"
    ),
    "swallow all exceptions": "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
    "leave the session": "import os\ntry: os.setsid()\nexcept OSError: pass\nos.kill(os.getpid(), 9)",
    "print of every kind": (
        "import os\nfor text in (b'\\0' * 99, b'\\xff\\xfe', 'passed\\n\\u202e\\x1b[31m'.encode(), bytes(range(256))):\n"
        "  for fd in range(64):\n    try: os.write(fd, text + b'\\n')\n    except OSError: pass\nos._exit(0)"
    ),
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
    "leave assertions out": (
        "import _testinternalcapi as t\nconfig = t.get_configs()['config']\nconfig['optimization_level'] = 1\nt.set_config(config)\n"
        "def f(): pass"
    ),
    "another interpreter": "import _xxsubinterpreters as i, os\ni.run_string(i.create(), 'import os; os._exit(0)')",
    "the interpreter's own exit": "import ctypes\nctypes.pythonapi.Py_Exit(0)",
    "the interpreter's own end": "import ctypes\nctypes.pythonapi.Py_FinalizeEx()",
    "an alarm in the tests": (
        "import signal\ndef stop(*a): raise StopIteration\nsignal.signal(signal.SIGALRM, stop)\nsignal.setitimer(0, 0.001, 0.001)"
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
