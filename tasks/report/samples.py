"""What the report shows of the answers: for each two models, questions that one gets right and the other does not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.leaderboard import words
from tasks.leaderboard.gather import Leaderboard
from tasks.report.pairs.answered import read_answered
from tasks.report.pairs.benchmark import Benchmark, benchmark_of
from tasks.report.pairs.choosing import choose, weights_of
from tasks.report.pairs.data import as_data
from tasks.report.pairs.pair import Pair, pair

if TYPE_CHECKING:
    from tasks.params import Params

BUDGET = 1_200_000
"""Bytes of the page that questions and answers may take, besides those of the pairs that are shown at first."""
AT_FIRST = 3
"""Pairs that are shown without a choice: the first recipe against those that follow it."""
QUESTIONS = 8
"""As many questions of a pair are shown at least in either direction, where its benchmarks have them."""


@dataclass(frozen=True)
class Samples:
    """The section."""

    pairs: list[Pair]
    """Those that are shown at first."""
    models: dict[str, str]
    """All whose answers are at hand, each with its label, in the order of the leaderboard."""
    alone: list[list[int | None]]
    """Models × models: how many questions the model of the row has right, and that of the column does not; None where
    they have answered no benchmark both."""
    missing: list[str]
    """What is not at hand: models, each with benchmarks."""
    data: Mapping[str, Any]
    """What the page's script makes any other pair of."""


def samples(board: Leaderboard, params: "Params") -> Samples | None:
    """The section; None where there are no two models to compare."""
    models = [str(name) for name in board.summary.index]
    if len(models) < 2 or not board.benchmarks:
        return None
    kinds = params.models()
    recipes = {name for name in models if kinds.get(name) == "recipe"}
    first = board.first or models[0]
    each = -(-QUESTIONS // len(board.benchmarks))
    share = BUDGET // len(board.benchmarks)
    found = [read(name, models, recipes, first, each, share) for name in board.benchmarks]
    benchmarks = [benchmark for benchmark in found if benchmark]
    known = [name for name in models if any(name in benchmark.models for benchmark in benchmarks)]
    lead, *others = sorted(known, key=lambda name: name != first) or [first]
    return Samples(
        pairs=[pair(lead, other, benchmarks, each) for other in others[:AT_FIRST]],
        models={name: words.label(name, kinds.get(name, "")) for name in known},
        alone=alone(known, benchmarks),
        missing=missing(models, board.benchmarks, benchmarks),
        data={"models": known, "each": each, "benchmarks": [as_data(benchmark, known) for benchmark in benchmarks]},
    )


def read(name: str, models: Sequence[str], recipes: set[str], first: str, each: int, budget: int) -> Benchmark | None:
    """A benchmark with the texts that the pairs want; None where not even two models have answered it."""
    answered = read_answered(name, models)
    if answered is None:
        return None
    return benchmark_of(answered, choose(answered, weights_of(list(answered.replies), recipes, first), each, budget))


def alone(models: Sequence[str], benchmarks: Sequence[Benchmark]) -> list[list[int | None]]:
    """Models × models: on how many questions the first alone is right, over the benchmarks that both have answered."""
    counts = np.zeros((len(models), len(models)), dtype=np.int64)
    compared = np.zeros((len(models), len(models)), dtype=bool)
    for benchmark in benchmarks:
        rows = [models.index(name) for name in benchmark.models]
        right = benchmark.right.astype(np.int64)
        counts[np.ix_(rows, rows)] += right @ (1 - right).T
        compared[np.ix_(rows, rows)] = True
    return [
        [count if known else None for count, known in zip(*row, strict=True)]
        for row in zip(counts.tolist(), compared.tolist(), strict=True)
    ]


def missing(models: Sequence[str], names: Sequence[str], benchmarks: Sequence[Benchmark]) -> list[str]:
    """The models whose answers are not at hand, each with the benchmarks unless that is all of them."""
    known = {benchmark.name: benchmark.models for benchmark in benchmarks}
    lacking = {model: [name for name in names if model not in known.get(name, [])] for model in models}
    return [
        model if len(without) == len(names) else f"{model} ({', '.join(without)})"
        for model, without in lacking.items()
        if without
    ]
