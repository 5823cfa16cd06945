"""95 % intervals of differences: the bootstrap over questions.

Questions are drawn again, with replacement, as many from each stratum as it has; all models answer the same draw, so
the differences stay paired. The interval reaches from the 2.5th to the 97.5th percentile of the differences. Where
nothing differs, or everything does alike, it would have no width, as if that were certain: it is blank.
"""

import numpy as np
import numpy.typing as npt

from tasks.leaderboard.strata import Floats, Numbers

SEED = 0
RESAMPLES = 2000
BATCH = 500_000
"""Questions drawn at a time; it must not depend on the models, or adding one would change the others' intervals."""


def intervals(numbers: Numbers, first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]) -> tuple[Floats, Floats]:
    """The lower and upper ends of the intervals of first − second: numbers × pairs.

    Blank where one of the models has no such number, and where nothing shows how far it spreads: a stratum has a single
    question, or the same difference comes of every draw.

    Args:
        numbers: What to compare the models by.
        first: Positions of models in `numbers.models`.
        second: The models that they are compared with.
    """
    from scipy.stats import bootstrap

    sizes = np.array([stratum.shape[1] for stratum in numbers.verdicts])
    weights = numbers.weights.to_numpy()
    known = numbers.known.to_numpy()
    blank = ~weights.any(axis=1) | weights[:, sizes < 2].any(axis=1)
    # blanks would spread to the other numbers of their model; those that they are part of are not known
    drawn = [np.nan_to_num(stratum) for stratum in numbers.verdicts if stratum.shape[1] >= 2]
    low, high = np.full((2, len(weights), len(first)), np.nan)
    if blank.all():
        return low, high
    used = weights[~blank][:, sizes >= 2]

    def differences(*strata: Floats, axis: int) -> Floats:
        means = np.stack([stratum.mean(axis=axis) for stratum in strata])
        values = np.tensordot(used, means, axes=1)
        return values[:, first] - values[:, second]

    found = bootstrap(
        drawn,
        differences,
        n_resamples=RESAMPLES,
        batch=max(1, BATCH // int(sizes.sum())),
        vectorized=True,
        axis=-1,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    low[~blank], high[~blank] = found.low, found.high
    spread = known[:, first] & known[:, second] & ~np.isclose(low, high)
    return np.where(spread, low, np.nan), np.where(spread, high, np.nan)
