"""Answers of models that never were, as `load_answers` gives them, and their comparisons."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tasks.leaderboard.compare import compare_models
from tasks.leaderboard.strata import MEAN, numbers_of


def questions(sizes: Mapping[tuple[str, str], int]) -> pd.MultiIndex:
    """So many questions of each benchmark and task."""
    rows = [(*stratum, number) for stratum, size in sizes.items() for number in range(size)]
    return pd.MultiIndex.from_tuples(rows, names=["benchmark", "task", "question"])


def random_answers(
    sizes: Mapping[tuple[str, str], int], chances: Sequence[float], generator: np.random.Generator
) -> pd.DataFrame:
    """Models `m0`, `m1`, ... that are right with these chances; easy questions are easy for all of them."""
    index = questions(sizes)
    easy = generator.normal(size=(len(index), 1))
    luck = easy + generator.normal(size=(len(index), len(chances)))
    right = luck < [np.quantile(column, chance) for column, chance in zip(luck.T, chances, strict=True)]
    return pd.DataFrame(right.astype(float), index, [f"m{number}" for number in range(len(chances))])


def mean_scores(answers: pd.DataFrame) -> pd.DataFrame:
    """Benchmarks × models: every question counts alike."""
    return answers.groupby(level="benchmark").mean()


def compared(
    answers: pd.DataFrame, reference: Mapping[str, float] | None = None, kinds: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """The comparisons of models, which are recipes, under an expert that scores 1, where nothing else is said."""
    benchmarks = answers.index.unique("benchmark")
    yardstick = pd.Series(reference if reference is not None else dict.fromkeys(benchmarks, 1.0), dtype=float)
    known = kinds if kinds is not None else dict.fromkeys(answers.columns, "recipe")
    return compare_models(numbers_of(answers, mean_scores(answers), yardstick), known)


def of_means(comparisons: pd.DataFrame) -> pd.DataFrame:
    """The comparisons of mean normalised scores, by pair."""
    return comparisons[comparisons["benchmark"] == MEAN].set_index(["first", "second"])
