"""Merge the experts by a recipe: `python -m tasks.merge NAME`."""

import os

from tasks import paths
from tasks.console import command, quiet, step, track
from tasks.orphans import remove_orphans
from tasks.params import load_params
from tasks.stage import known, parse_name, required
from tasks.timing import write_timing
from wudi.checkpoint import Checkpoint
from wudi.errors import WudiError
from wudi.experts import Expert
from wudi.merge import merge
from wudi.settings import SettingError

EXAMPLES = (
    ("python -m tasks.merge wudi", "the recipe of that name in params.yaml"),
    ("WUDI_SCHEDULER=tcp://HOST:8786 python -m tasks.merge wudi", "on a Dask cluster that has these files"),
    ("dvc repro merge@wudi", "the same with what it needs, and kept by DVC"),
)


def main() -> None:
    """Merge by one recipe of params.yaml into a complete model folder."""
    name = parse()
    params = load_params()
    recipe = params.recipes[known("recipes", name, params.recipes)]
    remove_orphans(params)
    try:
        report = merge(
            Checkpoint(required(paths.BASE, "fetch_base")),
            [
                Expert(expert, Checkpoint(required(paths.task_vector(expert), f"task_vectors@{expert}")))
                for expert in params.experts
            ],
            recipe,
            paths.merged(name),
            device=params.merge.device,
            scheduler=os.environ.get("WUDI_SCHEDULER") or None,  # no parameter, as it decides no byte
            dtype=params.merge.dtype,
            precision=params.merge.precision,
            vocabulary=params.merge.vocabulary,
            measure=params.merge.measure,
            overwrite=True,
            track=track,
            say=step,
        )
    except SettingError as error:  # which the models show, and params.yaml does not
        raise WudiError(f"{paths.PARAMS}: recipes.{name}.{error}") from None
    spent = {tensor: round(seconds, 4) for tensor, seconds in report.tensor_seconds.items()}
    write_timing("merge", name, report.seconds, report.device, tensors=spent)
    step(f"merged {len(params.experts)} experts by {name} on {report.device} in {report.seconds:.1f} s")


def parse() -> str:
    """The command line: a recipe's name."""
    return parse_name(
        "recipes",
        prog="python -m tasks.merge",
        description="Merge the experts by a recipe into a complete model folder. Interrupted, it goes on where it was.",
        reads="params.yaml: experts, recipes.NAME, merge; models/base, task_vectors/",
        writes="merged/NAME: a model that transformers loads, with its card and merge.json",
        examples=EXAMPLES,
    )


if __name__ == "__main__":
    quiet()
    command(main)
