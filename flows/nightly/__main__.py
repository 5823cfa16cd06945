"""The command `python -m flows.nightly`."""

import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from datetime import date

from flows.nightly.options import add_options, parameters
from flows.serving import serve
from tasks.console import command, step

FLOW = "flows.nightly.flow:nightly"
"""What is served."""

EXAMPLES = """examples:
  python -m flows.nightly run                                                 one night now
  python -m flows.nightly serve --cron "0 2 * * *" --timezone Europe/Berlin   one every night, while this runs

A night runs in a clone of its own, and keeps what it made on the branch `nightly` with a tag night/YYYY-MM-DD. Stopped
or failed, the next one goes on where it was. More in docs/nightly.md.
"""


def main() -> None:
    """Run the command: status 0 when the night is made, or another run makes it, 1 when it failed, 130 after Ctrl-C."""
    # Prefect restores this handler when it has ended a flow: exit, so that the temporary server is ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    arguments = parse()
    command(lambda: arguments.action(arguments))


def parse() -> Namespace:
    """The command line."""
    parser = ArgumentParser(
        prog="python -m flows.nightly",
        description="Merge and evaluate what moved, compare it with the nights before, and keep it.",
        epilog=EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    once = commands.add_parser("run", help="make one night now")
    add_options(once)
    once.add_argument("--night", metavar="YYYY-MM-DD", type=day, help="the date to give it (default: today)")
    once.add_argument("--verbose", action="store_true", help="print what the stages print")
    once.set_defaults(action=run)
    scheduled = commands.add_parser("serve", help="make nights on a schedule, on this machine")
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

    with api(verbose=arguments.verbose):
        try:
            nightly(**chosen, night=arguments.night)
        except CancelledRun:
            step("cancelled in Prefect: run the same command again to go on where it stopped")
            sys.exit(1)


if __name__ == "__main__":
    main()
