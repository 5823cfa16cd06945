"""The scales of interference by block, the same in every panel of every recipe, and a panel's place on the paper."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from tasks.pictures.scales import decades

WIDTH, HEIGHT = 2.4, 1.5
RIGHT, BELOW = 0.25, 0.42
PANELS = 4
"""So many panels stand side by side."""
BLOCKS = 6
"""No more blocks than these have their numbers at the axis."""
AIR = 1.6
"""The axis goes on by this factor beyond the numbers."""
UNDER = 0.15
"""And by so much of a decade below 0, where one is 0."""


@dataclass(frozen=True)
class Scales:
    """Blocks from the first to the last, L logarithmic; a decade below the least number leads down to 0 if one is 0."""

    low: float
    """The least number above 0."""
    high: float
    zero: bool
    """Whether a number is 0, which a logarithm has no place for."""
    blocks: list[int]

    @cached_property
    def ticks(self) -> list[float]:
        """The numbers at the axis of L."""
        if not self.zero:
            return decades(self.low / AIR, self.high * AIR)
        return [0.0, *(tick for tick in decades(self.low / AIR, self.high * AIR) if tick >= self.decade)]

    @cached_property
    def names(self) -> dict[int, str]:
        """The blocks that have their names at the axis."""
        inside = [block for block in self.blocks if block >= 0]
        names = {block: str(block) for block in inside[:: -(-len(inside) // BLOCKS) or 1]}
        return names | {block: "none" for block in self.blocks if block < 0}

    @property
    def decade(self) -> float:
        """The power of ten that no number but 0 is below."""
        return float(10.0 ** math.floor(math.log10(self.low)))

    def across(self, block: int) -> float:
        """How far right a block stands in a panel, in inches."""
        first, last = self.blocks[0], self.blocks[-1]
        room = max(0.4, (last - first) / 40)
        return WIDTH * (block - first + room) / (last - first + 2 * room)

    def down(self, value: float) -> float:
        """How far down a number stands in a panel, in inches."""
        low = -UNDER if self.zero else self.height(self.low / AIR)
        high = self.height(self.high * AIR)
        return HEIGHT * (high - self.height(value)) / (high - low)

    def height(self, value: float) -> float:
        """A number in decades."""
        if not self.zero:
            return math.log10(value)
        share = value / self.decade
        return 1 + math.log10(share) if share >= 1 else share


def scales_of(table: pd.DataFrame) -> Scales:
    """The scales that every number of a table fits.

    Args:
        table: As `by_kind_and_block` gives it, of all recipes.
    """
    values = table.to_numpy(dtype=np.float64)
    positive = values[values > 0]
    low, high = (float(positive.min()), float(positive.max())) if len(positive) else (1.0, 1.0)
    blocks = sorted(int(block) for block in table.index.unique("block"))
    return Scales(low, high, len(positive) < values.size, blocks)


@dataclass(frozen=True)
class Frame:
    """A panel's upper left corner, in inches from the paper's."""

    left: float
    top: float
    first: bool
    """Whether it is the first of its row, where the numbers of L stand."""
    last: bool
    """Whether none is below it, so that the blocks' numbers stand there."""

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.left + WIDTH

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.top + HEIGHT


def frames(count: int) -> list[Frame]:
    """The places of so many panels."""
    places = (divmod(number, PANELS) for number in range(count))
    return [
        Frame(column * (WIDTH + RIGHT), row * (HEIGHT + BELOW), column == 0, number + PANELS >= count)
        for number, (row, column) in enumerate(places)
    ]
