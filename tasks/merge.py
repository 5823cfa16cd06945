"""Merge the experts by a recipe: `python -m tasks.merge NAME`."""

import os

from tasks import paths
from tasks.console import command, quiet, step, track
from tasks.orphans import remove_orphans
from tasks.params import load_params
from tasks.stage import known, parse_name, required
from tasks.timing import write_timing
from wudi.checkpoint import Checkpoint
from wudi.experts import Expert
from wudi.merge import merge


def main() -> None:
    """Merge by one recipe of params.yaml into a complete model folder."""
    name = parse_name("Merge the experts by a recipe.", "python -m tasks.merge wudi", "recipe")
    params = load_params()
    recipe = params.recipes[known("recipes", name, params.recipes)]
    remove_orphans(params)
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
    spent = {tensor: round(seconds, 4) for tensor, seconds in report.tensor_seconds.items()}
    write_timing("merge", name, report.seconds, report.device, tensors=spent)
    step(f"merged {len(params.experts)} experts by {name} on {report.device} in {report.seconds:.1f} s")


if __name__ == "__main__":
    quiet()
    command(main)
