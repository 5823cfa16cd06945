"""Interference by kind of layer and block: the tables behind its pictures."""

import math

import pandas as pd

from tasks.leaderboard.words import BLANK, number
from wudi.names import block_number, module_name

ALL = "all layers"
KINDS = 12
"""Kinds beyond these are taken together."""
POINTS = ["sum", "mean", "result"]


def by_kind_and_block(layers: pd.DataFrame) -> pd.DataFrame:
    """The interference of the tensors of one kind in one block, summed: rows (recipe, kind, block).

    Tensors in no block get a negative number, so far left of block 0 that the labels have room.

    Args:
        layers: As `load_interference` gives them.
    """
    # a tensor's name is read once, however many recipes have it
    tensors = list(layers.index.unique("tensor"))
    kinds = dict(zip(tensors, kinds_of(tensors), strict=True))
    blocks = {tensor: block_number(tensor) for tensor in tensors}
    outside = -1 - max((block for block in blocks.values() if block is not None), default=0) // 8
    numbers = {tensor: outside if block is None else block for tensor, block in blocks.items()}
    names = layers.index.get_level_values("tensor")
    placed = layers.reset_index("tensor", drop=True).assign(kind=names.map(kinds), block=names.map(numbers))
    return placed.groupby(["recipe", "kind", "block"], sort=False).sum()


def kinds_of(tensors: list[str]) -> list[str]:
    """The module that each tensor belongs to; beyond the first few, how many others there are."""
    kinds = [module_name(tensor) for tensor in tensors]
    known = list(dict.fromkeys(kinds))
    if len(known) <= KINDS:
        return kinds
    alone = set(known[: KINDS - 1])
    return [kind if kind in alone else f"{len(known) - len(alone)} other kinds" for kind in kinds]


def by_recipe(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows (kind, block) of each recipe.

    Args:
        table: As `by_kind_and_block` gives it.
    """
    return {str(name): part.droplevel("recipe") for name, part in table.groupby(level="recipe", sort=False)}


def left(table: pd.DataFrame, column: str = "result") -> float:
    """The interference in percent of that of the task vectors' sum; blank where that is 0."""
    before = float(table["sum"].sum())
    return 100 * float(table[column].sum()) / before if before else math.nan


def in_percent(value: float) -> str:
    """What is left, with its sign; a dash where nobody can say."""
    return BLANK if math.isnan(value) else f"{number(value)} %"


def left_by_kind(table: pd.DataFrame, column: str = "result") -> dict[str, float]:
    """The same over all layers (`ALL`) and for each kind."""
    kinds = table.index.get_level_values("kind")
    return {ALL: left(table, column)} | {kind: left(table[kinds == kind], column) for kind in kinds.unique()}
