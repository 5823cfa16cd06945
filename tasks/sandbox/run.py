"""Programs in, verdicts out: many programs at a time, each in a sandbox of its own."""

import marshal
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Final

from tasks.sandbox import bubblewrap, seccomp
from tasks.sandbox.bubblewrap import Isolation
from tasks.sandbox.limits import MEGABYTE, Limits
from tasks.sandbox.scratch import Scratch
from tasks.sandbox.supervise import Verdict, supervise
from wudi.errors import WudiError
from wudi.progress import Track, silent

_OPT_OUT: Final = (
    "To run the programs without isolation set `evaluation.sandbox: none` in params.yaml: they then have the rights "
    "of your user, so they can read and change your files and use the network."
)


def check_available(isolation: Isolation) -> None:
    """Run one program for a trial; raises WudiError with the way out where programs cannot run like that here."""
    if isolation == "none":
        if os.name != "posix":
            raise WudiError("Model-written programs cannot be run on this system: that takes Linux or macOS.")
        return
    if not sys.platform.startswith("linux"):
        raise WudiError(f"Bubblewrap, the sandbox for model-written programs, exists for Linux only. {_OPT_OUT}")
    if not seccomp.supported():
        raise WudiError(f"The sandbox for model-written programs knows x86-64 and 64-bit ARM machines only. {_OPT_OUT}")
    if shutil.which("bwrap") is None:
        raise WudiError(
            "Model-written programs run in a sandbox, and bubblewrap, which makes it, is not installed. Install it "
            f"with `apt-get install bubblewrap` or `dnf install bubblewrap`. {_OPT_OUT}"
        )
    try:
        verdict = _run_one(("", ""), "bubblewrap", Limits())
    except WudiError as error:
        raise WudiError(
            f"Bubblewrap, the sandbox for model-written programs, is installed but does not work here. {error} A "
            "machine or container that forbids user namespaces is the usual reason; its administrator can allow them "
            f"to bubblewrap. {_OPT_OUT}"
        ) from error
    if not verdict.passed:
        raise WudiError(f"A trial program in the bubblewrap sandbox did not pass: {verdict.detail}. {_OPT_OUT}")


def run_programs(
    programs: Sequence[tuple[str, str]],
    *,
    isolation: Isolation = "bubblewrap",
    limits: Limits = Limits(),  # noqa: B008
    workers: int | None = None,
    track: Track = silent,
) -> list[Verdict]:
    """Run (candidate code, test code) pairs, each in a fresh sandbox, and return their verdicts in the same order.

    Both codes run in one namespace, the candidate first; each has to be complete Python by itself. A program passes
    when its tests reach their end without an exception. Only the standard library can be imported, and `__name__` is
    not `"__main__"`, as in the published checkers. String hashes are the same in every run, so that a verdict is too.
    """
    pool = ThreadPoolExecutor(workers or os.cpu_count() or 1, thread_name_prefix="sandbox")
    try:
        futures = [pool.submit(_run_one, program, isolation, limits) for program in programs]
        return [future.result() for future in track(futures, "running programs")]
    finally:
        # After a failure or Ctrl-C the programs that wait must not run any more.
        pool.shutdown(cancel_futures=True)


def _run_one(program: tuple[str, str], isolation: Isolation, limits: Limits) -> Verdict:
    start, token = secrets.token_hex(16).encode(), secrets.token_hex(16).encode()
    if isolation == "none":
        message = marshal.dumps((start, token, *program, limits.rlimits(), None, None))
        with tempfile.TemporaryDirectory(prefix="program-", ignore_cleanup_errors=True) as folder:
            return supervise(
                _python(), message, start=start, token=token, wall_seconds=limits.wall_seconds, folder=folder
            )
    files = limits.files if bubblewrap.sizes_scratch() else None
    user = bubblewrap.sandbox_user()
    message = marshal.dumps((start, token, *program, limits.sandbox_rlimits(), files, user))
    with bubblewrap.as_file(seccomp.program()) as filter_file, Scratch(limits.files) as scratch:
        command = bubblewrap.command(seccomp=filter_file, info=scratch.writer, scratch_bytes=limits.file_mb * MEGABYTE)
        return supervise(
            [*command, *_python()],
            message,
            start=start,
            token=token,
            wall_seconds=limits.wall_seconds,
            pass_fds=(filter_file, scratch.writer),
            crowded=scratch.crowded,
        )


@cache
def _python() -> list[str]:
    """Return the interpreter's command line: no site packages, no user folder, no bytecode written, UTF-8."""
    source = Path(__file__).with_name("driver.py").read_text(encoding="utf-8")
    return [bubblewrap.interpreter(), "-S", "-s", "-P", "-B", "-X", "utf8", "-c", source]
