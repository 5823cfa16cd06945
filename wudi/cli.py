"""The `wudi` command: its words, its help, and how it ends."""

import argparse
import os
import sys
from collections.abc import Sequence

from wudi.commands import convert, from_mergekit, inspect, merge, methods, push, verify
from wudi.commands.arguments import Arguments
from wudi.commands.trouble import mend
from wudi.errors import WudiError

EXAMPLES = (
    ("wudi inspect me/base ./math ./code", "from headers alone: do these fit?"),
    ("wudi merge ./base ./math ./code --method wudi --out ./merged", "merge two experts into their base"),
    ("wudi methods ties wudi", "what two methods take, and where they are from"),
    ("wudi convert ./code --out ./code-safetensors", "pytorch_model.bin, of which nothing is run"),
    ("wudi verify ./merged --base ./base", "is every byte still what was merged?"),
)
NOTES = """Each command has examples of its own: `wudi merge --help`. A project that also fetches, evaluates and
compares is run by `make repro`; `python -m tasks.doctor` says whether this machine has what that takes.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a mistake of the user's is one paragraph on stderr and status 1."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except WudiError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:
        # Whoever read the output, `head` perhaps, has enough. What is still buffered must not fail again on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        words = mend(error)
        if words is None:
            raise
        sys.exit(f"error: {words} and run the same command again: it goes on where it stopped")
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on where it stopped", file=sys.stderr)
        sys.exit(130)


def parser() -> Arguments:
    """The command line."""
    top = Arguments(
        prog="wudi",
        description="Merge fine-tuned models into one, without training.",
        examples=EXAMPLES,
        notes=NOTES,
    )
    top.add_argument("--version", action=Version, nargs=0, dest=argparse.SUPPRESS, help="print the version and end")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for command in (merge, methods, inspect, convert, verify, push, from_mergekit):
        command.add(commands)
    return top


class Version(argparse.Action):
    """`--version`: what is installed, looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print it and end."""
        from importlib.metadata import version

        print(f"wudi {version('wudi')}")
        parser.exit()
