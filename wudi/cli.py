"""The `wudi` command: merge checkpoints, list methods."""

import argparse
import errno
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from wudi.errors import WudiError
from wudi.methods import METHODS
from wudi.recipe import Recipe
from wudi.settings import SettingError, Settings, allowed, default_of, nearest

EXAMPLES = """examples:
  wudi methods
  wudi methods ties wudi
  wudi merge ./llama-2-13b ./wizardmath ./codealpaca --method wudi --out ./merged
  wudi merge base.safetensors a.safetensors b.safetensors --method ties --set density=0.1 --out ./merged --device cpu

settings of a method, each with a --set of its own:
  --set density=0.1
  --set weights.wizardmath=0.5                     an expert's name is that of its folder or file
  --set 'include=*.self_attn.*,lm_head.weight'     patterns of whole tensor names, with commas between
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
        if error.errno != errno.ENOSPC:
            raise
        sys.exit("error: the disk is full; free some space and run the same command again: it goes on where it stopped")
    except KeyboardInterrupt:
        print("interrupted: run the same command again to go on where it stopped", file=sys.stderr)
        sys.exit(130)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="wudi",
        description="Merge fine-tuned models into one, without training.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    merging = commands.add_parser("merge", help="merge experts into their base", description=run_merge.__doc__)
    merging.add_argument("base", type=Path, metavar="BASE", help="Hugging Face folder or .safetensors file")
    merging.add_argument(
        "experts", type=Path, nargs="+", metavar="EXPERT", help="likewise, a LoRA adapter, or a task vector"
    )
    merging.add_argument("--method", required=True, help="one of: " + ", ".join(METHODS))
    merging.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the method; see below"
    )
    merging.add_argument("--out", type=Path, required=True, help="the model folder to write")
    merging.add_argument("--device", default="auto", help="auto (a GPU where there is one), cpu, cuda, cuda:1, ...")
    merging.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16", "float16"])
    merging.add_argument("--seed", type=int, help="seed of methods that draw at random")
    merging.add_argument("--precision", choices=("float32", "tf32"), default="float32", help="of products on a GPU")
    merging.add_argument("--measure", action="store_true", help="write each layer's interference into merge.json")
    merging.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    merging.set_defaults(run=run_merge)
    listing = commands.add_parser("methods", help="list methods with settings, defaults and source")
    listing.add_argument("names", nargs="*", metavar="METHOD", help="only these")
    listing.set_defaults(run=run_methods)
    return top


def run_merge(options: argparse.Namespace) -> None:
    """Merge experts into their base and write a complete model folder."""
    recipe = recipe_of(options)

    from wudi.checkpoint import Checkpoint
    from wudi.experts import open_experts
    from wudi.merge import merge

    report = merge(
        Checkpoint(options.base),
        open_experts(options.experts),
        recipe,
        options.out,
        device=options.device,
        dtype=options.dtype,
        precision=options.precision,
        measure=options.measure,
        overwrite=options.overwrite,
        track=bar,
        say=lambda line: print(line, file=sys.stderr),
    )
    print(f"merged {len(options.experts)} experts by {recipe.method.name} into {report.out} ", end="")
    print(f"on {report.device} in {report.seconds:.1f} s")


def recipe_of(options: argparse.Namespace) -> Recipe:
    """The recipe that --method, --set and --seed describe."""
    values: dict[str, Any] = {}
    for pair in options.set:
        key, equals, value = pair.partition("=")
        if not equals:
            raise WudiError(f"--set {pair}: takes KEY=VALUE")
        mapping, _, name = key.partition(".")  # weights.math=0.5 is an entry of the mapping `weights`
        place = values.setdefault(mapping, {}) if name else values
        if key == "method" or not isinstance(place, dict) or (name or key) in place:
            raise WudiError(f"--set {pair}: {key} is given already")
        place[name or key] = value
    if options.seed is not None and "seed" in values:
        raise WudiError("--seed: given already by --set seed=...")
    if options.seed is not None:
        values["seed"] = options.seed
    try:
        return Recipe.parse({"method": options.method, **values})
    except SettingError as error:
        flag = "--method" if error.key == "method" else f"--set {error.key}"
        raise WudiError(f"{flag}: {error.problem}") from None


def run_methods(options: argparse.Namespace) -> None:
    """List methods: what each does, its settings with defaults and ranges, and its source."""
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


def bar(items: Sequence[Any], description: str) -> Iterable[Any]:
    """A bar with an estimate where someone looks on; tqdm comes with transformers."""
    if not sys.stderr.isatty():
        return items
    from tqdm import tqdm

    bars: Iterable[Any] = tqdm(items, desc=description, unit="tensor", leave=False)
    return bars
