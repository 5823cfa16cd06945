"""How much interference each merge leaves, recipes × kinds of layer."""

from collections.abc import Mapping

import pandas as pd

from tasks.leaderboard.words import listing, number
from tasks.pictures.drawing import finish, title
from tasks.pictures.grid import Cell, cell, grid
from tasks.pictures.layers import ALL, by_recipe, in_percent, left_by_kind
from tasks.pictures.picture import Picture

MEAN = "mean of the task vectors"
NAMED = 5


def interference(table: pd.DataFrame) -> Picture:
    """In percent of what the sum of the task vectors has; below the recipes stands what the mean of them has.

    Args:
        table: As `by_kind_and_block` gives it, with one row at least; the recipes best first.
    """
    recipes = by_recipe(table)
    rows = {name: left_by_kind(part) for name, part in recipes.items()}
    # before the merge all recipes have the same: whichever of them has measured a layer says it
    rows[MEAN] = left_by_kind(table.groupby(level=["kind", "block"], sort=False).first(), "mean")
    columns = list(rows[MEAN])
    cells = [[left_cell(name, kind, values.get(kind)) for kind in columns] for name, values in rows.items()]
    figure, axes = grid(cells, list(rows), columns, row_gaps=[len(recipes)], column_gaps=[1])
    axes.get_yticklabels()[-1].set_fontstyle("italic")
    heading = "Interference left by the merge, in percent of the task vectors' sum"
    title(axes, heading)
    overall = {name: row[ALL] for name, row in rows.items() if name in recipes}
    return finish(figure, "interference", heading, described(overall), file=True)


def left_cell(name: str, kind: str, value: float | None) -> Cell:
    """A cell; a recipe need not have measured every kind of layer."""
    known = float("nan") if value is None else value
    words = "not measured" if value is None else f"{in_percent(known)} of the sum's interference left"
    return cell(known, number(known), f"{name}, {kind}: {words}", 100.0)


def described(shares: Mapping[str, float]) -> str:
    """What the merges leave over all layers, of the best recipes."""
    values = [f"{name} {in_percent(share)}" for name, share in list(shares.items())[:NAMED]]
    more = f", and {len(shares) - len(values)} more" if len(shares) > len(values) else ""
    return f"Less is better. Over all layers, with the highest ranks first: {listing(values)}{more}."
