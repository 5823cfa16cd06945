"""The options that say what a night is made of: the flow's parameters, as a command takes them."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flows.command import positive
from flows.nightly.clone import default_workspace, origin_of


def add_options(parser: ArgumentParser) -> None:
    """Let a command take them."""
    add = parser.add_argument
    add(
        "--repository",
        metavar="DIR|URL",
        default=".",
        help="a checkout, whose origin counts, or what git clones (default: here)",
    )
    add(
        "--workspace",
        metavar="DIR",
        type=Path,
        help="the folder of the nights' own clone (default: REPOSITORY-nightly, beside it)",
    )
    add("--branch", default="main", help="what to make nights of (default: main)")
    add("--results", metavar="BRANCH", default="nightly", help="the branch that keeps them (default: nightly)")
    add("--workers", metavar="N", type=positive, default=2, help="stages at once (default: 2)")
    add("--scheduler", metavar="tcp://HOST:PORT", help="the Dask cluster to run the stages on")
    add("--timezone", metavar="ZONE", type=timezone, default="UTC", help="where it is night (default: UTC)")


def parameters(arguments: Namespace) -> dict[str, Any]:
    """The flow's parameters: paths from the root, since the flow may run elsewhere.

    Raises:
        WudiError: There is no such repository, or no place for the clone.
    """
    origin_of(arguments.repository)
    folder = Path(arguments.repository)
    workspace = arguments.workspace or default_workspace(arguments.repository)
    return {
        "repository": str(folder.resolve()) if folder.is_dir() else arguments.repository,
        "workspace": str(workspace.resolve()),
        "branch": arguments.branch,
        "results": arguments.results,
        "workers": arguments.workers,
        "scheduler": arguments.scheduler,
        "timezone": arguments.timezone,
    }


def timezone(text: str) -> str:
    """The name of a timezone."""
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ArgumentTypeError(f"takes a name such as Europe/Berlin or UTC, got {text}") from None
    return text
