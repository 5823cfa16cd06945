"""How far a model is from an earlier one by one number, whether that is real and, where nobody knows, why."""

import math
from dataclasses import dataclass

from tasks.leaderboard.compare import LEVEL

NO_ANSWERS = "answers not in the DVC cache"
OTHER_QUESTIONS = "other questions"
NO_MEAN_OF_VERDICTS = "a score is not the mean of its verdicts"
SAME = "the same verdicts"
NOT_MEASURED = "not measured in both"
ONLY_MEANS = "only means are known"
COMPARABLE = ("", SAME, NO_ANSWERS, NO_MEAN_OF_VERDICTS)
"""Why nothing is tested although two scores are of the same kind; empty: it is."""


@dataclass(frozen=True)
class Change:
    """How far one model is from another by one number, and whether the difference is real."""

    recipe: str
    """The model of the later version."""
    earlier: str
    """The model of the earlier version: as a rule the same recipe."""
    benchmark: str
    """The benchmark; `mean`: all that can be compared, each counting alike."""
    benchmarks: tuple[str, ...]
    """What the number is the mean of."""
    before: float
    """In percent."""
    after: float
    low: float = math.nan
    """The 95 % interval of the difference, which is not adjusted; blank where it was not asked for, or is not known."""
    high: float = math.nan
    questions: int = 0
    """Those that were tested."""
    gained: int = 0
    """How many of them only the later model gets right, or more right than the earlier one."""
    lost: int = 0
    p: float = math.nan
    p_adjusted: float = math.nan
    test: str = ""
    reason: str = ""
    """Why nothing was tested; empty where it was."""

    @property
    def difference(self) -> float:
        """From before to after, in points."""
        return self.after - self.before

    @property
    def tested(self) -> bool:
        """Whether a paired test says anything."""
        return not math.isnan(self.p)

    @property
    def told_apart(self) -> bool:
        """Whether the difference is real, as far as one may say so at a level of 5 % for the whole family."""
        return self.p_adjusted < LEVEL

    @property
    def fell(self) -> bool:
        """Whether it is really lower than before."""
        return self.told_apart and self.difference < 0

    @property
    def rose(self) -> bool:
        """Whether it is really higher than before."""
        return self.told_apart and self.difference > 0
