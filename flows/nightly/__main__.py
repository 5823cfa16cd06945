"""The command `python -m flows.nightly`."""

import signal
import sys
from argparse import ArgumentTypeError, Namespace
from datetime import date
from typing import Any

from flows.nightly.options import add_options, parameters
from flows.serving import serve
from tasks.console import command, step
from wudi.commands.arguments import Arguments, is_verbose

FLOW = "flows.nightly.flow:nightly"
"""What is served."""

RUN_EXAMPLES = (
    ("python -m flows.nightly run", "one night now"),
    ("python -m flows.nightly run --night 2026-11-22", "under another date than today's"),
    ("python -m flows.nightly run --branch experiments", "of another branch than main"),
)
SERVE_EXAMPLES = (
    ('python -m flows.nightly serve --cron "0 2 * * *" --timezone Europe/Berlin', "one every night, while this runs"),
    ("python -m flows.nightly serve --interval 3600", "one every hour"),
    ('python -m flows.nightly serve --cron "0 2 * * *" --port 4300', "with Prefect's page at another port"),
)
NOTES = """A night runs in a clone of its own, and keeps what it made on the branch `nightly` with a tag
night/YYYY-MM-DD. Stopped or failed, the next one goes on where it was. More in docs/nightly.md.
"""
NIGHT = {
    "description": "Merge and evaluate what moved, compare it with the nights before, and keep it.",
    "reads": "the repository's branch, the Hub, and the nights before",
    "writes": "the clone in --workspace; a commit on --results, a tag and DVC's remote, pushed",
}


def main() -> None:
    """Run the command: status 0 when the night is made, or another run makes it, 1 when it failed, 130 after Ctrl-C."""
    # Prefect restores this handler when it has ended a flow: exit, so that the temporary server is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    arguments = parse()
    command(lambda: arguments.action(arguments))


def parse() -> Namespace:
    """The command line."""
    parser = Arguments(
        prog="python -m flows.nightly",
        description=NIGHT["description"],
        examples=(RUN_EXAMPLES[0], SERVE_EXAMPLES[0]),
        notes=NOTES,
    )
    commands: Any = parser.add_subparsers(required=True, metavar="COMMAND")
    once = commands.add_parser("run", help="make one night now", **NIGHT, examples=RUN_EXAMPLES)
    add_options(once)
    once.add_argument("--night", metavar="YYYY-MM-DD", type=day, help="the date to give it (default: today)")
    once.set_defaults(action=run)
    help_text = "make nights on a schedule, on this machine"
    scheduled = commands.add_parser("serve", help=help_text, **NIGHT, examples=SERVE_EXAMPLES)
    add_options(scheduled)
    serve.add_arguments(scheduled)
    scheduled.set_defaults(action=lambda chosen: serve.serve(chosen, FLOW, parameters(chosen)))
    return parser.parse_args()


def day(text: str) -> date:
    """A date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"takes a date such as 2026-11-22, got {text}") from None


def run(arguments: Namespace) -> None:
    """Make one night, and wait for it."""
    chosen = parameters(arguments)
    from prefect.exceptions import CancelledRun

    from flows.nightly.flow import nightly
    from flows.server import api

    with api(verbose=is_verbose()):
        try:
            nightly(**chosen, night=arguments.night)
        except CancelledRun:
            step("cancelled in Prefect: run the same command again to go on where it stopped")
            sys.exit(1)


if __name__ == "__main__":
    main()
