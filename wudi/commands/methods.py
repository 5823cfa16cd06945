"""`wudi methods`: what there is to merge by."""

import argparse
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from wudi.errors import WudiError
from wudi.settings import Settings, allowed, default_of, nearest


def add(commands: Any) -> None:
    """The arguments."""
    parser = commands.add_parser(
        "methods",
        help="list methods with settings, defaults and source",
        description="List methods: what each does, its settings with defaults and ranges, and its source.",
        examples=(("wudi methods", "all of them"), ("wudi methods ties wudi", "two of them")),
    )
    parser.add_argument("names", nargs="*", metavar="METHOD", help="only these")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """List methods: what each does, its settings with defaults and ranges, and its source."""
    from wudi.methods import METHODS  # brings torch

    unknown = [name for name in options.names if name not in METHODS]
    if unknown:
        raise WudiError(f"method: got {unknown[0]!r}; {nearest(unknown[0], list(METHODS))}")
    broken: list[WudiError] = []
    for name in options.names or METHODS:
        try:
            method = METHODS[name]
        except WudiError as error:  # another package's, which is in the way of no other method
            broken.append(error)
            continue
        print(f"{method.name}\n  {method.summary}\n  {method.source}")
        print_settings(method.settings, [declared.name for declared in fields(Settings)])
        print()
    print("every method also takes")
    print_settings(Settings, [])
    if broken:
        raise WudiError("\n".join(map(str, broken)))


def print_settings(settings: type[Settings], leave_out: Sequence[str]) -> None:
    """A line a setting; those to leave out are shown where this class has another default."""
    common = {declared.name: default_of(declared) for declared in fields(Settings)}
    hints = settings.hints()
    for declared in fields(settings):
        default = default_of(declared)
        if declared.name in leave_out and default == common[declared.name]:
            continue
        doc, takes = declared.metadata.get("doc", ""), allowed(declared, hints[declared.name])
        print(f"    {declared.name} = {in_words(default)}  {doc} ({takes})")


def in_words(default: Any) -> str:
    """A default as one would write it; a dash for nothing."""
    return "-" if default in ((), {}) else str(default)
