"""Subtract the base from an expert: `python -m tasks.task_vectors NAME`."""

from tasks import paths
from tasks.console import command, quiet, step, track
from tasks.params import load_params
from tasks.stage import known, parse_name, required
from wudi.checkpoint import Checkpoint
from wudi.experts import Expert
from wudi.task_vectors import write_task_vector


def main() -> None:
    """Write one expert's task vector and its summary."""
    name = parse_name("Subtract the base from an expert.", "python -m tasks.task_vectors gsm8k", "expert")
    params = load_params()
    known("experts", name, params.experts)
    expert = Expert(name, Checkpoint(required(paths.expert(name), f"fetch@{name}")))
    summary = write_task_vector(
        Checkpoint(required(paths.BASE, "fetch_base")),
        expert,
        paths.task_vector(name),
        vocabulary=params.merge.vocabulary,
        overwrite=True,
        track=track,
        say=step,
    )
    step(f"task vector of {name}: {100 * summary['relative_norm']:.2f} % of the base's norm")


if __name__ == "__main__":
    quiet()
    command(main)
