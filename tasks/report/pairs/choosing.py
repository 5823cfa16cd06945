"""Which questions the report shows, and whose answers: few that tell many models apart, so that it stays small."""

from collections.abc import Sequence, Set

import numpy as np
import numpy.typing as npt

from tasks.report.pairs.answered import Answered
from tasks.report.pairs.excerpts import size

Weights = npt.NDArray[np.float64]
Sizes = npt.NDArray[np.int64]

OVERHEAD = 500
"""About as many bytes as an answerless question takes: shorter answers than that are no great merit."""


def choose(answered: Answered, weights: Weights, each: int, budget: int) -> dict[int, list[str]]:
    """The places of the questions, the most telling first, each with the models whose answers are needed.

    Greedily, the next question is the one that serves the most pairs for its bytes.

    Args:
        answered: The benchmark.
        weights: Models × models: how much it matters that there are questions which the model of the row alone has
            right, and which that of the column has not.
        each: How many such questions a pair wants.
        budget: How many bytes all may take.
    """
    models, right, sizes = list(answered.replies), answered.right, sizes_of(answered)
    wrong = ~right
    wanted = np.where(weights > 0, each, 0)
    chosen: dict[int, list[str]] = {}
    while True:
        still = np.where(wanted > 0, weights, 0.0)
        served = still @ wrong  # models × questions: the weight of the pairs that a model would be right in
        needed = (right & (served > 0)) | (wrong & (still.T @ right > 0))
        costs = sizes[-1] + (sizes[:-1] * needed).sum(axis=0)
        worth = np.where(costs <= budget, (served * right).sum(axis=0) / costs, 0.0)
        worth[list(chosen)] = 0.0
        best = int(worth.argmax())
        if worth[best] <= 0:
            return chosen
        chosen[best] = [models[row] for row in np.flatnonzero(needed[:, best])]
        wanted = np.maximum(wanted - np.outer(right[:, best], wrong[:, best]), 0)
        budget -= int(costs[best])


def sizes_of(answered: Answered) -> Sizes:
    """Models × questions, and a last row for the questions themselves: the bytes of the page that each takes.

    Questions that all models have right, or none, are never shown, so theirs do not matter.
    """
    right = answered.right
    sizes = np.ones((len(right) + 1, right.shape[1]), dtype=np.int64)
    for place in np.flatnonzero(right.any(axis=0) & ~right.all(axis=0)):
        question = answered.questions[place]
        sizes[:-1, place] = [size(replies[place].parts) for replies in answered.replies.values()]
        sizes[-1, place] = OVERHEAD + size([question.asked, question.expected])
    return sizes


def weights_of(models: Sequence[str], recipes: Set[str], first: str) -> Weights:
    """How much each ordered pair matters: two recipes do, and the first recipe against any other model far more."""
    of_recipes = np.array([name in recipes for name in models])
    leads = np.array([name == first for name in models])
    weights = np.outer(of_recipes, of_recipes).astype(np.float64)
    weights[np.logical_or.outer(leads, leads)] = len(models)
    np.fill_diagonal(weights, 0.0)
    return weights
