"""What one stage of dvc.yaml does, one module a stage; a package of commands."""

import os
import sys
from types import TracebackType


def _tell_calmly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Answer a Ctrl-C that comes while a command still imports its libraries, before it can handle one itself."""
    if issubclass(kind, KeyboardInterrupt):
        print("interrupted: run the same command again", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


sys.excepthook = _tell_calmly

# OpenMP's threads spin while they wait. Where stages run side by side that takes the cores from whoever has work: a
# step of training that takes 10 ms took 200. It must be said before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
