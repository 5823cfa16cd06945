"""How alike the experts are: the cosines between their task vectors, in all and by kind of layer."""

import math
from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd

from tasks.leaderboard.words import cosine, listing
from tasks.pictures.drawing import elided, finish, note, title
from tasks.pictures.grid import Cell, cell, grid
from tasks.pictures.inks import ink
from tasks.pictures.picture import Picture

LEAST = 0.2
"""The colours' range ends here at least, so that small cosines do not look large where all are small."""
PAIRS, COLUMNS = 28, 14
"""No more pairs of experts and kinds of layer than these are shown."""
LETTERS = 18
ALL = "all weights"

Pair = tuple[int, int]


def similarity(cosines: pd.DataFrame) -> Picture:
    """Experts × experts over all weights; an expert beside itself is grey."""
    values = cosines.to_numpy(dtype=np.float64)
    names = [str(name) for name in cosines.index]
    pairs = list(combinations(range(len(names)), 2))
    top = range_of([values[pair] for pair in pairs])
    itself = Cell(cosine(1.0), ink("missing"), ink("faint"), "")
    cells = [
        [
            itself if one == other else cosine_cell(values[one, other], f"{name} and {names[other]}", top)
            for other in range(len(names))
        ]
        for one, name in enumerate(names)
    ]
    figure, axes = grid(cells, names, names)
    heading = "Cosine between the experts' task vectors"
    title(axes, heading)
    return finish(figure, "similarity", heading, extremes(values, names, pairs), file=True)


def similarity_kinds(tables: Mapping[tuple[str, str], pd.DataFrame]) -> Picture:
    """Pairs of experts × kinds of tensor and modules, the pairs that are most alike first.

    Args:
        tables: As `load_similarity` gives them, of two experts at least.
    """
    overall = tables["all", ""].to_numpy(dtype=np.float64)
    names = [str(name) for name in tables["all", ""].index]
    pairs = sorted(combinations(range(len(names)), 2), key=lambda pair: -overall[pair])
    keys = list(tables)[:COLUMNS]
    values = {key: tables[key].to_numpy(dtype=np.float64) for key in keys}
    top = range_of([values[key][pair] for key in keys for pair in pairs])
    short = elided(names, LETTERS)
    shown = pairs[:PAIRS]
    cells = [
        [cosine_cell(values[key][pair], f"{names[pair[0]]} and {names[pair[1]]}, {key[1] or ALL}", top) for key in keys]
        for pair in shown
    ]
    rows, shorter = ([f"{words[one]} · {words[two]}" for one, two in shown] for words in (names, short))
    columns = [name or ALL for _, name in keys]
    modules = [number for number, (by, _) in enumerate(keys) if by == "module"][:1]
    figure, axes = grid(cells, rows, columns, column_gaps=[1, *modules], shown=shorter)
    if left_out := omissions(len(pairs) - len(shown), len(tables) - len(keys)):
        note(axes, left_out, below=0.12)
    heading = "Cosine between task vectors by kind of layer"
    title(axes, heading)
    return finish(figure, "similarity_kinds", heading, extremes(overall, names, pairs), file=True)


def cosine_cell(value: float, whose: str, top: float) -> Cell:
    """A cell with a cosine; one that is written 0.00 is neither above nor below 0."""
    return cell(round(value, 2) + 0.0, cosine(value), f"{whose}: {value:.3f}", top)


def range_of(values: list[float]) -> float:
    """The cosine that has the darkest colour."""
    return max([LEAST, *(abs(value) for value in values if not math.isnan(value))])


def omissions(pairs: int, kinds: int) -> str:
    """What is not shown."""
    parts = [f"{count} more {what}" for count, what in ((pairs, "pairs"), (kinds, "kinds of layer")) if count]
    return f"{listing(parts)} in results/similarity.json" if parts else ""


def extremes(values: np.ndarray, names: list[str], pairs: list[Pair]) -> str:
    """The pairs that are most and least alike."""
    ordered = sorted((pair for pair in pairs if not math.isnan(values[pair])), key=lambda pair: values[pair])
    if not ordered:
        return f"{len(names)} experts, no cosine of which is defined."
    least, most = (
        f"{names[one]} and {names[two]} ({cosine(values[one, two])})" for one, two in (ordered[0], ordered[-1])
    )
    return f"{len(names)} experts over all weights: the most alike are {most}, the least alike {least}."
