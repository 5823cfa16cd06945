"""The command `python -m flows.pipeline`."""

import os
import signal
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path

from flows.graph import Stage, read_graph, select
from flows.workspace import exclusive
from tasks.console import command, step
from tasks.repro import show_leaderboard
from wudi.commands.arguments import Arguments, is_verbose

EXAMPLES = (
    ("python -m flows.pipeline", "all that is out of date"),
    ("python -m flows.pipeline merge@wudi", "one stage, with the stages that it needs"),
    ("python -m flows.pipeline evaluate_recipe", "every stage of that name"),
    ("python -m flows.pipeline --workers 4", "four stages at once (on GPUs: one a GPU besides)"),
    ("python -m flows.pipeline --scheduler tcp://HOST:8786", "on the machines of a Dask cluster: docs/scaling.md"),
    ("python -m flows.pipeline --dry record", "the stages that it would look at, and what each waits for"),
)
NOTES = """A stage that did not change is not run again. Stopped or failed, the same command goes on where it was.
With PREFECT_API_URL the run appears on that server (`prefect server start` gives one to look at).
"""


def main() -> None:
    """Run the command: status 0 when every stage is up to date, 1 when one failed, 130 after Ctrl-C."""
    # Prefect restores this handler when it has ended a flow: exit, so that the temporary server is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    command(run)


def run() -> None:
    """Check all that can be checked in a second, then start Prefect and run."""
    arguments = parse()
    check_params(arguments.root)
    stages = select(read_graph(arguments.root), arguments.targets)
    if arguments.dry:
        list_stages(stages)
        return
    with exclusive(arguments.root):
        pass  # said at once, not after Prefect's start; the flow takes the lock for itself
    run_flow(arguments)


def run_flow(arguments: Namespace) -> None:
    """Run the flow against Prefect's API."""
    from prefect.exceptions import CancelledRun

    from flows.pipeline import pipeline
    from flows.server import api

    with api(verbose=is_verbose()):
        try:
            ended = pipeline(
                root=arguments.root,
                targets=tuple(arguments.targets),
                workers=arguments.workers,
                force=arguments.force,
                scheduler=arguments.scheduler,
            )
        except CancelledRun:
            step("cancelled in Prefect: run the same command again to go on where it stopped")
            sys.exit(1)
    if isinstance(ended, Mapping) and "record" in ended:
        with chdir(arguments.root):
            show_leaderboard()


def parse() -> Namespace:
    """The command line."""
    parser = Arguments(
        prog="python -m flows.pipeline",
        description="Run the pipeline with Prefect: the stages of dvc.yaml, side by side where they can be.",
        reads="dvc.yaml, dvc.lock, params.yaml, and what the stages read",
        writes="what the stages write, and dvc.lock",
        examples=EXAMPLES,
        notes=NOTES,
    )
    parser.add_argument("targets", metavar="STAGE", nargs="*", help="stages to bring up to date; default: all")
    parser.add_argument("--workers", metavar="N", type=positive, default=2, help="stages at once (default: 2)")
    parser.add_argument("--force", action="store_true", help="run the stages even when nothing changed")
    parser.add_argument("--dry", action="store_true", help="list the stages and run none")
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="run the stages on the workers of a Dask scheduler: tcp://HOST:8786"
    )
    parser.add_argument(
        "--root", metavar="DIR", type=Path, default=Path(), help="the folder of dvc.yaml (default: the current one)"
    )
    return parser.parse_args()


def positive(text: str) -> int:
    """A whole number from 1 up."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"takes a whole number from 1 up, got {text}")
    return int(text)


def check_params(root: Path) -> None:
    """Find every mistake in params.yaml before anything starts; a graph without that file has nothing to check."""
    path = root / "params.yaml"
    if path.is_file():
        from tasks.params import load_params

        load_params(Path(os.path.relpath(path)))


def list_stages(stages: tuple[Stage, ...]) -> None:
    """Print the stages in an order in which they can run."""
    width = max((len(stage.name) for stage in stages), default=0)
    for stage in stages:
        waits = f"  after {', '.join(stage.upstream)}" if stage.upstream else ""
        step(f"{stage.name:<{width}}{waits}".rstrip())
