"""Normalised scores, models × benchmarks, and their mean."""

import math

import numpy as np
import pandas as pd

from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.words import BLANK, label, listing, number, percent
from tasks.pictures.drawing import finish, title
from tasks.pictures.grid import Cell, cell, grid
from tasks.pictures.picture import Picture

MEAN = "mean"


def heatmap(board: Leaderboard) -> Picture:
    """Models in the order of the leaderboard: recipes, best first, then the base and the experts."""
    table = board.wide("normalised").assign(**{MEAN: board.summary["mean_normalised"]})
    top = max(100.0, float(np.nanmax(table.to_numpy(dtype=np.float64), initial=0.0)))
    names = [label(str(name), board.summary["kind"][name]) for name in table.index]
    cells = cells_of(board, table, names, top)
    others = len(board.recipes)
    figure, axes = grid(cells, names, list(table.columns), row_gaps=[others], column_gaps=[len(board.benchmarks)])
    for tick in axes.get_yticklabels()[others:]:
        tick.set_fontstyle("italic")
    heading = "Normalised score: 100 = the benchmark's expert"
    title(axes, heading)
    return finish(figure, "heatmap", heading, described(board, table), file=True)


def cells_of(board: Leaderboard, table: pd.DataFrame, names: list[str], top: float) -> list[list[Cell]]:
    """A cell for each model and benchmark, and for the mean."""
    scores = board.wide("score")
    references = reference_scores(table, scores)
    rows = []
    for name, model in zip(names, table.index, strict=True):
        row = []
        for benchmark in table.columns:
            value = float(table[benchmark][model])
            words = f"{name}, mean: {number(value)}"
            if benchmark != MEAN:
                score, reference = float(scores[benchmark][model]), float(references[benchmark])
                words = f"{name} on {benchmark}: {scored(value, score, reference)}"
            row.append(cell(value, number(value), words, top))
        rows.append(row)
    return rows


def reference_scores(table: pd.DataFrame, scores: pd.DataFrame) -> pd.Series:
    """The score on each benchmark that counts as 100; blank where there is none."""
    return (100 * scores / table[scores.columns].where(table[scores.columns] > 0)).median()


def scored(normalised: float, score: float, reference: float) -> str:
    """A normalised score and what it comes from: `94.2 (42.5 of the expert's 99.5)`."""
    if math.isnan(score):
        return "not measured"
    if math.isnan(normalised):
        return f"{BLANK} ({percent(score)}; nothing is in percent of an expert's 0)"
    return f"{number(normalised)} ({percent(score)} of the expert's {percent(reference)})"


def described(board: Leaderboard, table: pd.DataFrame) -> str:
    """The best recipe by the mean and on each benchmark."""
    recipes = table.loc[board.recipes]
    what = f"{len(recipes)} recipes, the base and {len(board.experts)} experts on {listing(board.benchmarks)}."
    best = []
    for column in (MEAN, *board.benchmarks):
        known = recipes[column].dropna()
        if len(known):
            name = f"the mean of {number(known.max())}" if column == MEAN else f"{number(known.max())} on {column}"
            best.append(f"{name} ({listing([str(model) for model in known.index[known == known.max()]][:3])})")
    return f"{what} The highest normalised scores of a recipe: {'; '.join(best) or 'none is defined'}."
