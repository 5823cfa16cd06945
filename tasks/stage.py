"""What the stage commands share: their arguments, and the name of an expert or a recipe that params.yaml must know."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from wudi.commands.arguments import Arguments
from wudi.errors import WudiError
from wudi.settings import nearest


def parse_name(section: str, **about: Any) -> str:
    """The one argument of a stage that works on one name of a section of params.yaml; `Arguments` takes the rest."""
    parser = Arguments(**about)
    parser.add_argument("name", metavar="NAME", help=f"one of the {section} of params.yaml")
    name: str = parser.parse_args().name
    return name


def parse_model(kinds: Collection[str], **about: Any) -> tuple[str, str]:
    """A kind of model and its name, `base`, `expert NAME` or `recipe NAME`; `Arguments` takes the rest."""
    parser = Arguments(**about)
    parser.add_argument("kind", metavar="KIND", choices=list(kinds), help=", ".join(kinds))
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
