"""`wudi merge`: merge experts into their base."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wudi.commands.terminal import bar, say
from wudi.errors import WudiError
from wudi.settings import SettingError

if TYPE_CHECKING:
    from wudi.recipe import Recipe

EXAMPLES = (
    ("wudi merge ./base ./math ./code --method wudi --out ./merged", "two experts into their base"),
    ("wudi merge ./base ./math ./adapter --method average --out ./merged", "one of them a LoRA adapter"),
    ("wudi merge ./base ./math ./code --method ties --set density=0.1 --out ./merged", "a setting of the method"),
    ("wudi merge base.safetensors a.safetensors b.safetensors --method ties --out ./merged", "files, not folders"),
)
NOTES = """settings of a method, each with a --set of its own; `wudi methods NAME` lists them:
  --set density=0.1
  --set weights.math=0.5                         an expert's name is that of its folder or file
  --set 'include=*.self_attn.*,lm_head.weight'   patterns of whole tensor names, with commas between

Interrupted, the same command goes on where it stopped.
"""


def add(commands: Any) -> None:
    """The arguments."""
    parser = commands.add_parser(
        "merge",
        help="merge experts into their base",
        description="Merge experts into their base and write a complete model folder.",
        reads="BASE and each EXPERT, tensor by tensor",
        writes="--out: weights, config, tokenizer, a model card, and merge.json with every hash",
        examples=EXAMPLES,
        notes=NOTES,
    )
    parser.add_argument("base", type=Path, metavar="BASE", help="Hugging Face folder or .safetensors file")
    parser.add_argument(
        "experts", type=Path, nargs="+", metavar="EXPERT", help="likewise, a LoRA adapter, or a task vector"
    )
    parser.add_argument("--method", required=True, metavar="NAME", help="wudi, ties, ...: `wudi methods` lists all")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the method; see below"
    )
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--device", default="auto", help="auto (a GPU where there is one), cpu, cuda, or cuda:0,cuda:1")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")
    add_ways(parser)
    parser.set_defaults(run=run)


def add_ways(parser: argparse.ArgumentParser) -> None:
    """What decides how it is computed, and what becomes of odd experts."""
    parser.add_argument("--scheduler", metavar="ADDRESS", help="tcp://HOST:PORT of a Dask cluster that has these files")
    parser.add_argument("--workers", type=int, metavar="N", help="tensors that a CPU merges at once; one a core")
    parser.add_argument("--dtype", default="auto", choices=["auto", "float32", "bfloat16", "float16"])
    parser.add_argument("--seed", type=int, help="seed of methods that draw at random")
    parser.add_argument("--precision", choices=("float32", "tf32"), default="float32", help="of products on a GPU")
    parser.add_argument("--measure", action="store_true", help="write each layer's interference into merge.json")
    parser.add_argument(
        "--vocabulary",
        choices=("error", "base", "union"),
        default="error",
        help="experts with other tokens: refused, aligned to the base's tokens, or added to them",
    )


def run(options: argparse.Namespace) -> None:
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
        workers=options.workers,
        scheduler=options.scheduler,
        dtype=options.dtype,
        precision=options.precision,
        vocabulary=options.vocabulary,
        measure=options.measure,
        overwrite=options.overwrite,
        track=bar,
        say=say,
    )
    experts = "1 expert" if len(options.experts) == 1 else f"{len(options.experts)} experts"
    print(f"merged {experts} by {recipe.method.name} into {report.out} ", end="")
    print(f"on {report.device} in {report.seconds:.1f} s")


def recipe_of(options: argparse.Namespace) -> "Recipe":
    """The recipe that --method, --set and --seed describe."""
    from wudi.methods import METHODS
    from wudi.recipe import Recipe

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
        if error.key == "seed" and options.seed is not None:
            draws = "seed" in METHODS[options.method].settings.hints()
            problem = error.problem if draws else f"{options.method} draws nothing at random; leave it out"
            raise WudiError(f"--seed: {problem}") from None
        raise WudiError(f"{flag}: {error.problem}") from None
