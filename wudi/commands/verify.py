"""`wudi verify`: prove a finished merge against its merge.json."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wudi.commands.terminal import bar
from wudi.errors import WudiError

DESCRIPTION = """Compare every file of a merged model, and the inputs that are given, with the hashes in its merge.json.

The exit status is 1 if something is missing, was changed, or is not of the merge; a model card that was edited is told
as changed.
"""
EXAMPLES = (
    ("wudi verify ./merged", "is every byte still what was merged?"),
    ("wudi verify ./merged --base ./base", "and is this the base that it was merged from?"),
    ("wudi verify ./merged --expert math=./math --expert code=./code", "and are these its experts?"),
)


def add(commands: Any) -> None:
    """The arguments."""
    parser = commands.add_parser(
        "verify",
        help="prove a finished merge against its merge.json",
        description=DESCRIPTION,
        reads="DIR, and the base and experts that are named",
        examples=EXAMPLES,
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the model folder that a merge has written")
    parser.add_argument("--base", type=Path, metavar="PATH", help="compare the base too")
    parser.add_argument(
        "--expert", action="append", default=[], metavar="NAME=PATH", help="and an expert, by its name in merge.json"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print what was compared and what differs; status 1 if something does."""
    from wudi.verification import verify

    report = verify(options.folder, base=options.base, experts=experts(options.expert), track=bar)
    for title, count in report.counts.items():
        print(f"{title}: {count} {'file' if count == 1 else 'files'}")
    if report.differences:
        print(*report.differences, sep="\n")
        sys.exit(1)
    print(f"verified {report.files} files")


def experts(given: Sequence[str]) -> dict[str, Path]:
    """The experts' places by name."""
    found: dict[str, Path] = {}
    for pair in given:
        name, equals, path = pair.partition("=")
        if not equals or not path:
            raise WudiError(f"--expert {pair}: takes NAME=PATH")
        if name in found:
            raise WudiError(f"--expert {pair}: {name} is given already")
        found[name] = Path(path)
    return found
