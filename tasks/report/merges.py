"""Where the merges go wrong: the interference that each left, and how alike the experts are."""

from itertools import combinations
from typing import Any

from tasks.leaderboard import words
from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.load import load_interference, load_similarity
from tasks.report import cell


def interference_rows(board: Leaderboard) -> list[dict[str, Any]]:
    """The interference that each recipe left, in percent of that of the task vectors' sum; empty where none is known.

    Sums over layers are divided, and not percentages averaged: a layer without interference decides nothing.
    """
    layers = load_interference(board.recipes)
    if layers.empty:
        return []
    sums = layers.groupby(level="recipe").sum().reindex(board.recipes)
    percent = 100 * sums.div(sums["sum"].where(sums["sum"] > 0), axis=0)
    worst = worst_layers(board)
    return [
        {
            "name": name,
            "left": cell.mean(percent["result"][name]),
            "mean": cell.mean(percent["mean"][name]),
            "worst": worst.get(name, words.BLANK),
        }
        for name in board.recipes
    ]


def worst_layers(board: Leaderboard) -> dict[str, str]:
    """The tensor in which each recipe left the most interference, with its share of all that is left."""
    left = load_interference(board.recipes)["result"]
    found = {}
    for recipe, tensors in left.groupby(level="recipe"):
        total = float(tensors.sum())
        if total > 0:
            tensor = tensors.droplevel("recipe").idxmax()
            found[str(recipe)] = f"{tensor} ({words.number(100 * float(tensors.max()) / total)} % of it)"
    return found


def similarity_rows(board: Leaderboard) -> list[dict[str, Any]]:
    """Over the whole model, each kind of tensor and each module: the mean cosine of two experts, and the extremes."""
    pairs = list(combinations(board.experts, 2))
    rows = []
    for (by, name), cosines in load_similarity(board.experts).items() if pairs else ():
        values = [float(cosines.to_numpy()[row, column]) for row, column in combinations(range(len(cosines)), 2)]
        least, most = min(values), max(values)
        rows.append(
            {
                "by": by,
                "name": name or "all",
                "mean": words.cosine(sum(values) / len(values)),
                "least": words.cosine(least),
                "least_alike": words.listing(list(pairs[values.index(least)])),
                "most": words.cosine(most),
                "most_alike": words.listing(list(pairs[values.index(most)])),
            }
        )
    return rows
