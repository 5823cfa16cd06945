"""What a partial leaderboard lacks: the scores of a failed merge, a benchmark that is not measured yet, samples."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from tasks import paths
from tasks.leaderboard.load import stage
from tasks.leaderboard.words import listing

PARTIAL_HELP = "leave out what is missing, such as a recipe that failed, and say so"
"""What `--partial` does."""
OUTDATED = "measured with other settings"


@dataclass(frozen=True)
class Missing:
    """What one model lacks, and the command that makes it."""

    model: str
    kind: str
    """base, expert or recipe."""
    benchmarks: tuple[str, ...]
    """On which it lacks them, in the order of params.yaml."""
    what: str
    """`scores`; or `samples`, where there are scores but no answers to compare by."""
    why: str
    """In a few words, such as `not merged`."""
    command: str


def find_missing(
    kinds: Mapping[str, str],
    benchmarks: Sequence[str],
    scores: pd.DataFrame,
    answers: pd.DataFrame,
    outdated: Collection[tuple[str, str]] = (),
) -> list[Missing]:
    """What is not there of the scores and answers that every model has in a whole leaderboard.

    Args:
        kinds: Model name -> base, expert or recipe.
        benchmarks: What every model should be measured on.
        scores: Those that are there, as `load_scores` gives them.
        answers: Those that are there, as `load_answers` gives them.
        outdated: Scores, (model, benchmark), that were left out, since they are not those that params.yaml asks for.
    """
    measured = set(zip(scores["model"], scores["benchmark"], strict=True))
    known = answers.notna().groupby(level="benchmark").all()
    answered = {(str(model), str(benchmark)) for model in known for benchmark in known.index[known[model]]}
    return list(lacks(kinds, benchmarks, measured, answered, outdated))


def lacks(
    kinds: Mapping[str, str],
    benchmarks: Sequence[str],
    measured: Collection[tuple[str, str]],
    answered: Collection[tuple[str, str]],
    outdated: Collection[tuple[str, str]],
) -> Iterator[Missing]:
    """Model by model: the benchmarks without scores, then those with scores and without answers."""
    for model, kind in kinds.items():
        command = f"dvc repro {stage(kind, model)}"
        without = tuple(benchmark for benchmark in benchmarks if (model, benchmark) not in measured)
        if without:
            old = any((model, benchmark) in outdated for benchmark in without)
            why = reason(model, kind, old) if len(without) == len(benchmarks) else f"not measured on {listing(without)}"
            yield Missing(model, kind, without, "scores", why, command)
        scored = (benchmark for benchmark in benchmarks if benchmark not in without)
        silent = tuple(benchmark for benchmark in scored if (model, benchmark) not in answered)
        if silent:
            yield Missing(model, kind, silent, "samples", f"samples missing on {listing(silent)}", command)


def reason(model: str, kind: str, outdated: bool) -> str:
    """Why a model has no scores at all."""
    if kind == "recipe" and not (paths.merged(model) / "merge.json").is_file():
        return "not merged"
    return OUTDATED if outdated else "not evaluated"


def measured_benchmarks(scores: pd.DataFrame, benchmarks: Iterable[str]) -> list[str]:
    """The benchmarks on which some recipe is measured, in the order given: the others have no place in the table."""
    measured = set(scores.loc[scores["kind"] == "recipe", "benchmark"])
    return [benchmark for benchmark in benchmarks if benchmark in measured]
