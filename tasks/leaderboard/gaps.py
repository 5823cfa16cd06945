"""What a partial leaderboard cannot say for want of scores or samples, in sentences."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from tasks.leaderboard.missing import Missing
from tasks.leaderboard.normalise import reference_scores
from tasks.leaderboard.words import listing


def about_missing(
    missing: Sequence[Missing], scores: pd.DataFrame, experts: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Each model that lacks something, and what that leads to.

    Args:
        missing: What is not there.
        scores: What is there, as `load_scores` gives it.
        experts: Benchmark of the table -> its declared expert.
    """
    shown, in_mean = set(scores["benchmark"]), list(reference_scores(scores, experts).dropna().index)
    for gap in missing:
        lacking = [benchmark for benchmark in gap.benchmarks if benchmark in shown]
        own = [benchmark for benchmark in lacking if experts[benchmark] == gap.model and gap.what == "scores"]
        if own:
            left = f"{listing(own)} {'is' if len(own) == 1 else 'are'} left out of mean normalised scores"
            yield gap.model, f"{gap.why}: {left}"
        elif lacking:
            yield gap.model, f"{gap.why}, so without {without(gap, lacking, in_mean, whole=set(lacking) == shown)}"
    left_out = dict.fromkeys(name for gap in missing for name in gap.benchmarks if name not in shown)
    if left_out:
        text = f"not measured on {listing(list(left_out))}, as no recipe is: left out of this leaderboard"
        yield from ((gap.model, text) for gap in missing if gap.kind == "recipe" and gap.what == "scores")


def without(gap: Missing, lacking: Sequence[str], in_mean: Sequence[str], *, whole: bool) -> str:
    """What a model cannot have."""
    counts = any(benchmark in in_mean for benchmark in lacking)
    if gap.what == "samples":
        return f"comparisons there{' and by mean normalised scores' if counts else ''}"
    scores = ["scores"] if whole else []
    means = ["mean"] if counts else []
    ranks = ["rank"] if counts and gap.kind == "recipe" else []
    return listing([*scores, *means, *ranks]) or "a score there"
