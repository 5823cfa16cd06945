"""`wudi from-mergekit`: a recipe of mergekit's as one of this project."""

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wudi.commands.inspect import short_names
from wudi.commands.terminal import say
from wudi.errors import WudiError

if TYPE_CHECKING:
    from wudi.fragment import Source
    from wudi.mergekit import Conversion, Notes


EXAMPLES = (
    ("wudi from-mergekit ties.yml", "print the sections of params.yaml, below the command for the same merge"),
    ("wudi from-mergekit ties.yml --out params-ties.yaml", "write them into a new file"),
    ("wudi from-mergekit slerp.yml --base mistralai/Mistral-7B-v0.1", "two models that are merged by their angle"),
)
NOTES = """What a recipe here cannot have is told line by line, and so is what is done in another way. The status
is 0 then, and 1 where nothing can be carried: a method that only mergekit has, layers stacked anew.
"""


def add(commands: Any) -> None:
    """The arguments."""
    parser = commands.add_parser(
        "from-mergekit",
        help="turn a mergekit YAML into a recipe of this project",
        description="Turn a config of mergekit's into the base, the experts and the recipe of a params.yaml.",
        reads="CONFIG.yml, and nothing of the models",
        writes="--out, or prints",
        examples=EXAMPLES,
        notes=NOTES,
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.yml", help="what mergekit-yaml takes")
    parser.add_argument("--out", type=Path, metavar="PARAMS.yaml", help="a new file to write")
    parser.add_argument(
        "--base", metavar="MODEL", help="what all models were fine-tuned from, where the method has no base of its own"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print or write the recipe; on stderr, what is lost and what differs."""
    from wudi.mergekit import Notes, convert, read_config
    from wudi.mergekit.reference import Reference

    notes = Notes()
    if options.out is not None and options.out.exists():
        raise WudiError(f"{options.out}: exists already; name a new file, and copy what you need out of it")
    ancestor = None if options.base is None else Reference.parse("--base", options.base).whole("--base")
    try:
        found = convert(read_config(options.config, notes), notes, ancestor)
    except WudiError as error:
        raise WudiError(f"{options.config}: {error}") from None
    text = params(options.config, found)
    if options.out is None:
        print(text, end="")
    else:
        write(options.out, text)
    tell(options.config, notes)


def params(config: Path, found: "Conversion") -> str:
    """The text of the fragment, below the commands for the same merge by hand."""
    commands = "\n".join(f"#   {line}" for line in by_hand(found))
    return (
        f"# From mergekit's {config.name}. The same merge by hand:\n{commands}\n"
        "# For `dvc repro`, put these sections in the place of those in params.yaml, and list under each expert the\n"
        "# benchmarks that it is the expert in.\n"
        f"{found.experiment.as_yaml(expert={'benchmarks': []})}"
    )


def by_hand(found: "Conversion") -> list[str]:
    """The commands that bring what is on the Hub, and merge."""
    experiment = found.experiment
    sources = {"base": experiment.base, **experiment.experts}
    folders = places(sources)
    called = short_names([folders[name] for name in experiment.experts])
    recipe = flags(found.recipe, dict(zip(experiment.experts, called, strict=True)))
    words = ["wudi", "merge", *folders.values(), *recipe]
    for key, left_out in (("dtype", "auto"), ("vocabulary", "error")):
        words += [f"--{key}", experiment.merge[key]] if experiment.merge[key] != left_out else []
    downloads = [download(source, folders[name]) for name, source in sources.items() if source.source != folders[name]]
    return [*downloads, shlex.join([*words, "--out", "./merged"])]


def flags(recipe: Mapping[str, Any], called: Mapping[str, str]) -> list[str]:
    """The method and its settings, in which an expert is called as its folder."""
    settings = {name: value for name, value in recipe.items() if name not in ("method", "weights")}
    settings |= {f"weights.{called[expert]}": weight for expert, weight in recipe.get("weights", {}).items()}
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    return ["--method", recipe["method"], *words]


def places(sources: Mapping[str, "Source"]) -> dict[str, str]:
    """The folder that each model is in, or is brought to, which is none of those."""
    from wudi.fragment import names
    from wudi.mergekit.reference import is_folder

    found = {name: source.source for name, source in sources.items() if is_folder(source)}
    brought = [name for name in sources if name not in found]
    free = names(brought, taken=[Path(place).name for place in found.values()])
    found |= {name: f"./{place}" for name, place in zip(brought, free, strict=True)}
    return {name: found[name] for name in sources}


def download(source: "Source", target: str) -> str:
    """The command that brings a model of the Hub here."""
    revision = ["--revision", source.revision] if source.revision else []
    return shlex.join(["hf", "download", source.source, *revision, "--local-dir", target])


def write(out: Path, text: str) -> None:
    """Write the file whole or not at all."""
    try:
        half_written = out.with_name(f"{out.name}.tmp")
        half_written.write_text(text, encoding="utf-8")
        half_written.replace(out)
    except OSError as error:
        raise WudiError(f"{out}: cannot be written ({error.strerror}); name a file in a folder that is there") from None
    say(f"wrote {out}")


def tell(config: Path, notes: "Notes") -> None:
    """Say what is lost, and what is done in another way."""
    for title, lines in (("not carried", notes.lost), ("to know", notes.known)):
        if lines:
            say("\n  ".join([f"{title}:", *dict.fromkeys(lines)]))
    if not notes.lost:
        say(f"{config}: carried whole")
