"""What keeps scores or comparisons from being taken at their word: warnings, each with the models that it is about."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import pandas as pd

from tasks.leaderboard.compare import AGAINST_BASE, LEVEL
from tasks.leaderboard.conditions import limited, odd_ones
from tasks.leaderboard.gaps import about_missing
from tasks.leaderboard.load import stage
from tasks.leaderboard.missing import Missing
from tasks.leaderboard.strata import MEAN, Numbers
from tasks.leaderboard.words import label, listing, percent

CHECKPOINT = "is the right checkpoint wired in?"
FEW = 100
"""A benchmark with fewer questions makes a mean over several unsure."""
Caution = tuple[str, str]
"""A model and what is to be said of it, as a sentence whose subject it is."""


def cautions(
    scores: pd.DataFrame,
    numbers: Numbers,
    comparisons: pd.DataFrame,
    experts: Mapping[str, str],
    kinds: Mapping[str, str],
    missing: Sequence[Missing],
) -> dict[str, list[str]]:
    """Each warning with its models.

    First about what is missing, then about experts and base, about the measuring, and what the evaluation itself said.

    Args:
        scores: As `load_scores` gives them.
        numbers: What the models were compared by.
        comparisons: As `compare_models` gives them.
        experts: Benchmark -> its declared expert.
        kinds: Every model -> base, expert or recipe.
        missing: What is not there.
    """
    by_text: dict[str, list[str]] = {}
    for model, text in chain(
        about_missing(missing, scores, experts),
        about_experts(scores, comparisons, experts, kinds),
        about_base(comparisons),
        about_limits(scores),
        about_small_benchmarks(scores, numbers),
        odd_ones(scores),
        about_verdicts(scores, numbers),
        said_by_evaluation(scores),
    ):
        models = by_text.setdefault(text, [])
        if model not in models:
            models.append(model)
    return by_text


def about_experts(
    scores: pd.DataFrame, comparisons: pd.DataFrame, experts: Mapping[str, str], kinds: Mapping[str, str]
) -> Iterator[Caution]:
    """An expert should be better than the base, and no worse than any other model, on its own benchmark."""
    base = next(model for model, kind in kinds.items() if kind == "base")
    by_model = scores.set_index(["benchmark", "model"])["score"]
    for benchmark, expert in experts.items():
        own, basis = (float(by_model.get((benchmark, model), math.nan)) for model in (expert, base))
        ahead = ahead_of(comparisons[comparisons["benchmark"] == benchmark], expert)
        beside = f"{percent(own)} on {benchmark}, its own benchmark, and the base {percent(basis)}"
        if own == 0:
            yield expert, f"scores {beside}: {benchmark} is left out of mean normalised scores; {CHECKPOINT}"
        elif own <= basis:
            yield expert, f"scores {beside}; {CHECKPOINT}"
        elif ahead.get(base, 0.0) >= LEVEL:
            yield expert, f"scores {beside}: the paired test cannot tell it from the base"
        better = [model for model, p in ahead.items() if p < LEVEL and by_model[benchmark, model] > own]
        better = [label(model, kinds[model]) for model in better if model != base]  # which has been said
        if better and own > 0:
            yield expert, f"is clearly beaten on {benchmark}, its own benchmark, by {', '.join(better)}"


def ahead_of(comparisons: pd.DataFrame, model: str) -> dict[str, float]:
    """The adjusted p of the comparisons of one model, by the other one."""
    known = zip(comparisons["first"], comparisons["second"], comparisons["p_adjusted"], strict=True)
    return {second if first == model else first: p for first, second, p in known if model in (first, second)}


def about_base(comparisons: pd.DataFrame) -> Iterator[Caution]:
    """Merging should gain something: some recipe should be above the base, which is the second of each pair."""
    pairs = comparisons[comparisons["family"] == AGAINST_BASE].dropna(subset="p")
    above = (pairs["p_adjusted"] < LEVEL) & (pairs["difference"] > 0)
    if len(pairs) and not above.any():
        yield pairs["second"].iloc[0], "no recipe's mean normalised score is told apart above that of the base"


def about_limits(scores: pd.DataFrame) -> Iterator[Caution]:
    """Scores of fewer questions than the benchmark has."""
    for model, rows in scores[limited(scores)].groupby("model", sort=False):
        asked = [
            f"{count:,} of {benchmark}" for benchmark, count in zip(rows["benchmark"], rows["questions"], strict=True)
        ]
        yield str(model), f"answered, as `limit` says, only {', '.join(asked)}: no scores of whole benchmarks"


def about_small_benchmarks(scores: pd.DataFrame, numbers: Numbers) -> Iterator[Caution]:
    """Benchmarks that count in a mean over several as much as the others do, and show too little of their spread."""
    if scores.loc[scores["kind"] == "recipe", "model"].nunique() < 2:
        return
    in_mean = scores[scores["benchmark"].isin(counted_in_mean(numbers))]
    few = in_mean[in_mean["questions"] < FEW].drop_duplicates("benchmark")
    if in_mean["benchmark"].nunique() < 2 or few.empty:
        return
    named = [f"{benchmark} ({count})" for benchmark, count in zip(few["benchmark"], few["questions"], strict=True)]
    text = f"ranked by a mean in which fewer than {FEW} questions count as a whole benchmark: {listing(named)}"
    yield from ((model, text) for model in scores["model"].unique())


def counted_in_mean(numbers: Numbers) -> list[str]:
    """The benchmarks that the ranking mean is the mean of."""
    counted = numbers.weights.columns[numbers.weights.loc[[MEAN]].any()]
    return list(counted.unique("benchmark"))


def about_verdicts(scores: pd.DataFrame, numbers: Numbers) -> Iterator[Caution]:
    """Scores that are no mean of the verdicts, so that the paired tests have nothing to say of them."""
    kinds = dict(zip(scores["model"], scores["kind"], strict=True))
    answered = numbers.answered().T
    for benchmark, known in numbers.known.drop(index=MEAN).iterrows():
        means = ", nor by mean normalised scores" if benchmark in counted_in_mean(numbers) else ""
        what = f"not compared on {benchmark}{means}"
        for model in known.index[~known & answered[benchmark]]:
            if known.any():
                mend = f"make both again with: dvc repro --force {stage(kinds[model], model)}"
                yield model, f"{what}: its score there is not the mean of its verdicts in samples/; {mend}"
            else:
                yield model, f"{what}: scores there are not the mean of the verdicts in samples/"


def said_by_evaluation(scores: pd.DataFrame) -> Iterator[Caution]:
    """The warnings that the evaluation left in the scores files."""
    for row in scores.to_dict("records"):
        yield from ((row["model"], " ".join(text.split())) for text in row["warnings"])
