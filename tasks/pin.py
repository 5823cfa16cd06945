"""Pin the Hub's models to the commits that their revisions name now: `python -m tasks.pin`."""

from collections.abc import Sequence

from tasks import paths
from tasks.console import command, quiet, step
from tasks.params import load_params
from tasks.pinning import Pin, resolve_pins, write_pins
from tasks.pinning.models import place
from wudi.commands.arguments import Arguments
from wudi.errors import WudiError


def main() -> None:
    """Replace branches and tags in params.yaml by commits."""
    parser = Arguments(
        prog="python -m tasks.pin",
        description="Pin the Hub's models to the commits that their branches and tags name now.",
        reads="params.yaml: base, experts; the Hub",
        writes="params.yaml: each `revision`, with the comments left as they are",
        examples=(
            ("python -m tasks.pin", "from now on these very commits"),
            ("python -m tasks.pin --check", "look, and write nothing: status 1 if something moved"),
        ),
    )
    parser.add_argument("--check", action="store_true", help="tell, and write nothing; status 1 if something would be")
    only_check = parser.parse_args().check
    pins = resolve_pins(load_params())
    tell(pins)
    changing = sum(pin.commit != pin.wanted for pin in pins)
    some = f"{changing} of {len(pins)} models of the Hub"
    if not pins:
        step(f"{paths.PARAMS} names no model of the Hub: nothing to pin")
    elif not changing:
        step(f"all {len(pins)} models of the Hub are pinned already")
    elif only_check:
        raise WudiError(
            f"{paths.PARAMS}: {some} {'is' if changing == 1 else 'are'} not pinned; "
            "`python -m tasks.pin` writes the commits above"
        )
    else:
        write_pins(paths.PARAMS, pins)
        step(f"{paths.PARAMS}: {some} pinned")


def tell(pins: Sequence[Pin]) -> None:
    """A line for each model, in columns."""
    rows = [(place(pin.name), pin.source, change(pin)) for pin in pins]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for name, source, revision in rows:
        step(f"{name:<{widths[0]}}  {source:<{widths[1]}}  {revision}")


def change(pin: Pin) -> str:
    """What becomes of a revision."""
    return pin.commit if pin.commit == pin.wanted else f"{pin.wanted or 'main'} -> {pin.commit}"


if __name__ == "__main__":
    quiet()
    command(main)
