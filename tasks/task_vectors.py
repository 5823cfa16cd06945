"""Subtract the base from an expert: `python -m tasks.task_vectors NAME`."""

from tasks import paths
from tasks.console import command, quiet, step, track
from tasks.params import load_params
from tasks.stage import known, parse_name, required
from wudi.checkpoint import Checkpoint
from wudi.experts import Expert
from wudi.task_vectors import write_task_vector

EXAMPLES = (
    ("python -m tasks.task_vectors math", "what the expert learnt: its weights less the base's"),
    ("dvc repro task_vectors@math", "the same with what it needs, and kept by DVC"),
)


def main() -> None:
    """Write one expert's task vector and its summary."""
    name = parse_name(
        "experts",
        prog="python -m tasks.task_vectors",
        description="Subtract the base from an expert; of a LoRA adapter the factors are kept as they are.",
        reads="params.yaml: merge.vocabulary; models/base, models/experts/NAME",
        writes="task_vectors/NAME: safetensors and summary.json",
        examples=EXAMPLES,
    )
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
