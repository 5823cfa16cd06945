"""What the stage commands share: their arguments, and the name of an expert or a recipe that params.yaml must know."""

import argparse
from collections.abc import Collection
from pathlib import Path

from wudi.errors import WudiError
from wudi.settings import nearest


def parse_name(description: str, example: str, what: str) -> str:
    """The one argument of a stage that works on a named expert or recipe."""
    parser = argparse.ArgumentParser(description=description, epilog=f"example: {example}")
    parser.add_argument("name", metavar="NAME", help=f"an {what} of params.yaml" if what[0] in "aeiou" else f"a {what}")
    name: str = parser.parse_args().name
    return name


def parse_model(description: str, example: str, kinds: Collection[str]) -> tuple[str, str]:
    """A kind of model and its name: `base`, or `expert NAME`, or `recipe NAME`."""
    parser = argparse.ArgumentParser(description=description, epilog=f"example: {example}")
    parser.add_argument("kind", choices=list(kinds))
    parser.add_argument("name", nargs="?", metavar="NAME", help="as in params.yaml; not with base")
    options = parser.parse_args()
    if (options.kind == "base") != (options.name is None):
        parser.error("takes no NAME with base" if options.kind == "base" else f"{options.kind} takes a NAME")
    return options.kind, options.name or "base"


def required(folder: Path, stage: str) -> Path:
    """A folder that an earlier stage makes."""
    if not folder.is_dir():
        raise WudiError(f"{folder}: not found; make it with `dvc repro {stage}`")
    return folder


def known(section: str, name: str, names: Collection[str]) -> str:
    """`name`, which must stand in a section of params.yaml."""
    if name not in names:
        raise WudiError(f"params.yaml has no {section}.{name}; {nearest(name, list(names))}")
    return name
