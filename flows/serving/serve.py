"""What `python -m flows.nightly serve` does: nights on a schedule, on this machine, in the foreground."""

import socket
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.command import positive
from wudi.errors import WudiError

PORT = 4200
"""Where Prefect's UI is looked for by everybody."""


def add_arguments(parser: ArgumentParser) -> None:
    """Let a command take when to run, and how to be known in Prefect."""
    when = parser.add_mutually_exclusive_group(required=True)
    when.add_argument("--cron", metavar="'M H D M W'", type=cron, help="when: '0 2 * * *' is every night at 2:00")
    when.add_argument(
        "--interval", metavar="SECONDS", type=positive, help="or every so many seconds, counted from midnight"
    )
    parser.add_argument("--name", type=name, default="nightly", help="the deployment's name (default: nightly)")
    parser.add_argument(
        "--port",
        metavar="N",
        type=port,
        default=PORT,
        help=f"where Prefect's UI is to be, without PREFECT_API_URL (default: {PORT})",
    )


def serve(arguments: Namespace, flow: str, parameters: dict[str, Any]) -> None:
    """Make nights until SIGINT or SIGTERM.

    Args:
        arguments: What `add_arguments` takes, and a timezone.
        flow: The flow, as MODULE:NAME.
        parameters: The flow's parameters.

    Raises:
        WudiError: The schedule is never due, the port is taken, or Prefect does not answer.
    """
    from flows.serving.service import Order, serve_nights

    serve_nights(
        Order(
            flow=flow,
            name=arguments.name,
            parameters=parameters,
            cron=arguments.cron,
            interval=arguments.interval,
            timezone=arguments.timezone,
        ),
        arguments.port,
    )


def check_port(port: int) -> None:
    """Find out whether a server can listen there.

    Raises:
        WudiError: Something else does.
    """
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise WudiError(
            f"port {port} is in use ({error.strerror}): if a Prefect server listens there, have this one use it with "
            f"PREFECT_API_URL=http://127.0.0.1:{port}/api; else name another port with --port"
        ) from error


def cron(text: str) -> str:
    """Five fields, as cron takes them."""
    from prefect.client.schemas.schedules import CronSchedule

    from flows.serving.schedule import occurrences

    try:
        if len(text.split()) != 5:  # a sixth would be seconds
            raise ValueError
        # One that is never due, such as a 30th of February, is found out by looking for the first time.
        occurrences(CronSchedule(cron=text), start=datetime.now(UTC), n=1)
    except ValueError:
        raise ArgumentTypeError(
            f"takes minute, hour, day, month and weekday, such as '0 2 * * *' for every night at 2:00, got {text!r}"
        ) from None
    return text


def name(text: str) -> str:
    """A name that Prefect takes for a deployment."""
    if not text or set("/%&><") & set(text) or Path(text).name != text:
        raise ArgumentTypeError(f"takes a name without / % & > <, got {text!r}")
    return text


def port(text: str) -> int:
    """A port's number."""
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ArgumentTypeError(f"takes a port from 1 to 65535, got {text}")
    return int(text)
