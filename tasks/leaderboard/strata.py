"""The numbers that models are compared by, each a weighted mean of verdicts: the ranking number and every score.

A benchmark's questions fall into strata, one for each lm-eval task behind it. Its score is the mean over all questions
or, where the task is a group that counts its tasks alike, the mean of the tasks' means. A scores file does not say
which, but the scores do: as a rule, only one of the two gives the scores of all models. A model whose score neither
gives (a metric that is no mean, answers of another run) is not compared: its verdicts would answer for another number
than the table shows.
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
    counts, in points of 100. `MEAN` counts nothing where nothing is normalised."""
    verdicts: list[Floats]
    """Models × questions of each stratum: how right each answer is; blank where a model has not answered."""
    known: pd.DataFrame
    """Numbers × models: whether the number in the table is this mean of the model's verdicts, so that they may be
    compared by it."""

    def estimates(self) -> pd.DataFrame:
        """Each number of each model, blank where it is not known: numbers × models."""
        shape = len(self.verdicts), len(self.models)
        means = np.reshape([stratum.mean(axis=1) for stratum in self.verdicts], shape)
        sums = self.weights.to_numpy() @ np.nan_to_num(means)
        return pd.DataFrame(sums, self.weights.index, self.models).where(self.known)

    def answered(self) -> pd.DataFrame:
        """Whether there are answers of the model to every question: benchmarks × models."""
        whole = [~np.isnan(stratum).any(axis=1) for stratum in self.verdicts]
        table = pd.DataFrame(whole, self.weights.columns, self.models, dtype=bool).groupby(level="benchmark").all()
        return table.reindex(self.weights.index.drop(MEAN), fill_value=False)


def numbers_of(answers: pd.DataFrame, scores: pd.DataFrame, reference: pd.Series) -> Numbers:
    """The mean normalised score and every benchmark's score as weighted means of verdicts.

    Args:
        answers: Rows (benchmark, task, question), a column a model; blank where a model has not answered.
        scores: Benchmarks × models, as the table shows them; blank where a model has none.
        reference: The declared expert's score on each benchmark; blank ones are left out of the mean.
    """
    groups = answers.groupby(level=["benchmark", "task"])
    shares, fits = stratum_shares(groups.mean(), groups.size(), scores)
    benchmark = shares.index.get_level_values("benchmark")
    defined = reference.dropna()
    units = (100 / (len(defined) * defined)).reindex(benchmark, fill_value=0.0).to_numpy() if len(defined) else 0.0
    rows = {MEAN: shares * units}
    rows |= {str(name): (100 * shares).where(benchmark == name, 0.0) for name in reference.index}
    weights = pd.DataFrame(rows).T
    fits = fits.reindex(index=reference.index, columns=answers.columns, fill_value=False)
    in_mean = fits.loc[defined.index].all() if len(defined) else pd.Series(data=False, index=fits.columns)
    known = pd.concat([in_mean.to_frame(MEAN).T, fits])
    verdicts = [group.to_numpy(np.float64).T for _, group in groups]
    return Numbers([str(name) for name in answers.columns], weights, verdicts, known)


def stratum_shares(means: pd.DataFrame, sizes: pd.Series, scores: pd.DataFrame) -> tuple[pd.Series, pd.DataFrame]:
    """What the mean of each stratum counts in its benchmark's score, and which scores that gives: benchmarks × models.

    Of the two choices, a benchmark has the one that gives the scores of more models.

    Args:
        means: Strata × models, the means of the verdicts.
        sizes: The questions of each stratum.
        scores: Benchmarks × models.
    """
    by_benchmark = sizes.groupby(level="benchmark")
    by_question, by_task = sizes / by_benchmark.transform("sum"), 1 / by_benchmark.transform("size")
    fits, by_task_fits = (fitting(means, shares, scores) for shares in (by_question, by_task))
    # every question alike is meant where both fit
    tasks_alike = by_task_fits.sum(axis=1) > fits.sum(axis=1)
    fits.loc[tasks_alike] = by_task_fits.loc[tasks_alike]
    return by_task.where(tasks_alike.reindex(sizes.index, level="benchmark"), by_question), fits


def fitting(means: pd.DataFrame, shares: pd.Series, scores: pd.DataFrame) -> pd.DataFrame:
    """Whether the means of the strata, with these shares, give the scores: benchmarks × models."""
    given = means.mul(shares, axis=0).groupby(level="benchmark").sum(skipna=False)
    return (given - scores.reindex(index=given.index, columns=given.columns)).abs() <= TOLERANCE
