"""A version: what a project's models were, and how they scored, at one revision."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from tasks.versions.lock import Lock
from tasks.versions.verdicts import Verdicts

MEAN = "mean"
"""What the mean score is called where benchmarks stand: a name that no benchmark can have."""


@dataclass(frozen=True, eq=False)
class Version:
    """The recipes, their models and their scores at one revision."""

    names: tuple[str, ...]
    """What it is called; several tags of one commit, or nights in which nothing changed, are one version."""
    commit: str | None
    """The commit; None: the working tree."""
    when: datetime | None
    params: Mapping[str, Any]
    """params.yaml as it was written, unchecked: it may be of an earlier form."""
    lock: Lock
    scores: pd.DataFrame = field(repr=False)
    """A row for each model and benchmark, as `tasks.versions.scores` gives them."""
    summary: pd.DataFrame = field(repr=False)
    """A row for each model, indexed by it: `kind`, `score` (the mean, between 0 and 1) and `normalised` (likewise)."""
    answers: Mapping[str, Mapping[str, tuple[str, Path]]] = field(repr=False)
    """Model -> benchmark -> the md5 of the answers and where they lie, if they are at hand."""
    remembered: Callable[[str, Path], Verdicts | None] = field(repr=False)
    """What reads the verdicts in a file of answers."""

    @property
    def label(self) -> str:
        """The first of its names."""
        return self.names[0]

    @property
    def until(self) -> str:
        """The last of its names."""
        return self.names[-1]

    @property
    def title(self) -> str:
        """Its name, with the last one where it has several."""
        return self.label if len(self.names) == 1 else f"{self.label}, same until {self.until}"

    @property
    def recipes(self) -> list[str]:
        """The recipes that have scores."""
        return list(self.summary.index[self.summary["kind"] == "recipe"])

    @cached_property
    def benchmarks(self) -> list[str]:
        """The benchmarks, in the order of params.yaml; none where only means are known."""
        return list(self.scores["benchmark"].unique())

    @cached_property
    def cells(self) -> dict[tuple[str, str], dict[str, Any]]:
        """The rows of the scores by (model, benchmark)."""
        rows = self.scores.to_dict("records")
        return {(row["model"], row["benchmark"]): {str(key): value for key, value in row.items()} for row in rows}

    def score(self, model: str, benchmark: str = MEAN) -> float:
        """A score or the mean of all of a model, in percent; blank where it is not known."""
        if benchmark == MEAN:
            return 100 * self._means.get(model, math.nan)
        return 100 * float(self.cells.get((model, benchmark), {}).get("score", math.nan))

    @cached_property
    def _means(self) -> dict[str, float]:
        """The mean scores by model."""
        return {str(model): float(score) for model, score in self.summary["score"].items()}

    def winners(self, benchmark: str = MEAN) -> list[str]:
        """The recipes with the highest score."""
        known = {name: self.score(name, benchmark) for name in self.recipes}
        best = max((score for score in known.values() if not math.isnan(score)), default=math.nan)
        return [name for name, score in known.items() if math.isclose(score, best, rel_tol=1e-9)]

    def verdicts(self, model: str, benchmark: str) -> Verdicts | None:
        """How right a model was on each question; None where its answers are not at hand.

        Raises:
            WudiError: The file is broken.
        """
        found = self.answers.get(model, {}).get(benchmark)
        return None if found is None else self.remembered(*found)
