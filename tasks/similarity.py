"""Compare the experts' task vectors with each other: `python -m tasks.similarity`."""

import json

from tasks import paths
from tasks.console import command, quiet, step, track
from tasks.orphans import remove_orphans
from tasks.params import load_params
from tasks.stage import required
from wudi.checkpoint import Checkpoint
from wudi.commands.arguments import Arguments
from wudi.experts import Expert
from wudi.similarity import Similarity, similarity


def main() -> None:
    """Write the cosines between the task vectors of all experts."""
    Arguments(
        prog="python -m tasks.similarity",
        description="Compare the experts' task vectors: the cosine of every two, in all and by layer.",
        reads="params.yaml: experts; models/base, task_vectors/",
        writes="results/similarity.json",
        examples=(
            ("python -m tasks.similarity", "who is like whom"),
            ("dvc repro similarity", "the same with what it needs, and kept by DVC"),
        ),
    ).parse_args()
    params = load_params()
    remove_orphans(params)
    measured = similarity(
        Checkpoint(required(paths.BASE, "fetch_base")),
        [
            Expert(expert, Checkpoint(required(paths.task_vector(expert), f"task_vectors@{expert}")))
            for expert in params.experts
        ],
        track=track,
    )
    write(measured)
    step(most_alike(measured))


def write(measured: Similarity) -> None:
    """Write results/similarity.json: whole or not at all."""
    paths.SIMILARITY.parent.mkdir(parents=True, exist_ok=True)
    partial = paths.SIMILARITY.with_name(f".{paths.SIMILARITY.name}.partial")
    partial.write_text(json.dumps(measured.as_dict(), indent=1) + "\n", encoding="utf-8")
    partial.replace(paths.SIMILARITY)


def most_alike(measured: Similarity) -> str:
    """What was found, in one line."""
    names = measured.experts
    pairs = [(float(measured.overall[i, j]), names[i], names[j]) for j in range(len(names)) for i in range(j)]
    if not pairs:
        return f"compared the only expert, {names[0]}, with none"
    cosine, first, second = max(pairs)
    return f"compared {len(names)} experts: {first} and {second} are most alike, cosine {cosine:.2f}"


if __name__ == "__main__":
    quiet()
    command(main)
