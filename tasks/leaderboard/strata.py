"""The numbers that models are compared by, each a weighted mean of verdicts: the ranking number and every score.

A benchmark's questions fall into strata, one for each lm-eval task behind it. Its score is the mean over all questions
or, where the task is a group that counts its tasks alike, the mean of the tasks' means. A scores file does not say
which, but the scores do: only one of the two gives the score of every model. Where neither does (a metric that is no
mean, answers of another run), nothing is compared: the verdicts would answer for another number than the table shows.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

MEAN = "mean normalised"
TOLERANCE = 1e-6

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Numbers:
    """What models are compared by, and on what."""

    models: list[str]
    weights: pd.DataFrame
    """A row for each number (`MEAN`, then the benchmarks), a column for each stratum (benchmark, task): what its mean
    counts, in points of 100. Blank where a score is no mean of verdicts, or nothing is normalised."""
    verdicts: list[Floats]
    """Models × questions of each stratum: how right each answer is."""

    def estimates(self) -> pd.DataFrame:
        """Each number of each model: numbers × models."""
        means = np.array([stratum.mean(axis=1) for stratum in self.verdicts])
        return pd.DataFrame(self.weights.to_numpy() @ means, self.weights.index, self.models)


def numbers_of(answers: pd.DataFrame, scores: pd.DataFrame, reference: pd.Series) -> Numbers:
    """The mean normalised score and every benchmark's score as weighted means of verdicts.

    Args:
        answers: Rows (benchmark, task, question), a column a model.
        scores: Benchmarks × models, as the table shows them.
        reference: The declared expert's score on each benchmark; blank ones are left out of the mean.
    """
    groups = answers.groupby(level=["benchmark", "task"])
    shares = stratum_shares(groups.mean(), groups.size(), scores)
    benchmark = shares.index.get_level_values("benchmark")
    defined = reference.dropna()
    units = (100 / (len(defined) * defined)).reindex(benchmark).to_numpy() if len(defined) else np.nan
    rows = {MEAN: (shares * units).where(benchmark.isin(defined.index) | defined.empty, 0.0)}
    rows |= {str(name): (100 * shares).where(benchmark == name, 0.0) for name in reference.index}
    weights = pd.DataFrame(rows).T
    verdicts = [group.to_numpy(np.float64).T for _, group in groups]
    return Numbers([str(name) for name in answers.columns], weights, verdicts)


def stratum_shares(means: pd.DataFrame, sizes: pd.Series, scores: pd.DataFrame) -> pd.Series:
    """What the mean of each stratum counts in its benchmark's score; blank where no choice gives the scores.

    Args:
        means: Strata × models, the means of the verdicts.
        sizes: The questions of each stratum.
        scores: Benchmarks × models.
    """
    by_benchmark = sizes.groupby(level="benchmark")
    shares = pd.Series(np.nan, sizes.index)
    # every question alike comes last, since it is meant where both fit
    for choice in (1 / by_benchmark.transform("size"), sizes / by_benchmark.transform("sum")):
        given = means.mul(choice, axis=0).groupby(level="benchmark").sum()
        fits = (given - scores.reindex(index=given.index, columns=given.columns)).abs().max(axis=1) <= TOLERANCE
        shares = choice.where(fits.reindex(sizes.index, level="benchmark"), shares)
    return shares
