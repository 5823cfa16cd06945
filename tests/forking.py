"""Children that are forked off a process with some modules loaded: there is one such process for all tests."""

import multiprocessing
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

_loaded: list[tuple[str, ...]] = [()]


def forked_off(*modules: str) -> ForkServerContext:
    """The context of children of a process that has loaded these modules and no others."""
    context = multiprocessing.get_context("forkserver")
    if _loaded[-1] != modules:
        forkserver._forkserver._stop()  # type: ignore[attr-defined]  # it would go on with what it has loaded
        context.set_forkserver_preload(list(modules))
        _loaded[:] = [modules]
    return context
