"""What keeps scores or comparisons from being taken at their word: warnings, each with the models that it is about."""

from collections.abc import Iterator, Mapping

import pandas as pd

from tasks.leaderboard.compare import LEVEL
from tasks.leaderboard.strata import MEAN, Numbers

CHECKPOINT = "is the right checkpoint wired in?"
Caution = tuple[str, str]
"""A model and what is to be said of it, as a sentence whose subject it is."""


def cautions(
    scores: pd.DataFrame, numbers: Numbers, comparisons: pd.DataFrame, experts: Mapping[str, str]
) -> dict[str, list[str]]:
    """Each warning with its models: about the experts, about what was measured, and what the evaluation itself said.

    Args:
        scores: As `load_scores` gives them.
        numbers: What the models were compared by.
        comparisons: As `compare_models` gives them.
        experts: Benchmark -> its declared expert.
    """
    by_text: dict[str, list[str]] = {}
    for found in (
        about_experts(scores, comparisons, experts),
        about_measuring(scores),
        about_verdicts(scores, numbers),
    ):
        for model, text in found:
            models = by_text.setdefault(text, [])
            if model not in models:
                models.append(model)
    return by_text


def about_experts(scores: pd.DataFrame, comparisons: pd.DataFrame, experts: Mapping[str, str]) -> Iterator[Caution]:
    """An expert should be better than the base, and no worse than any other model, on its own benchmark."""
    base = str(scores.loc[scores["kind"] == "base", "model"].iloc[0])
    by_model = scores.set_index(["benchmark", "model"])["score"]
    for benchmark, expert in experts.items():
        own, basis = float(by_model[benchmark, expert]), float(by_model[benchmark, base])
        ahead = ahead_of(comparisons[comparisons["benchmark"] == benchmark], expert)
        beside = f"{100 * own:.1f} on {benchmark}, its own benchmark, and the base {100 * basis:.1f}"
        if own == 0:
            yield expert, f"scores {beside}: {benchmark} is left out of mean normalised scores; {CHECKPOINT}"
        elif own <= basis:
            yield expert, f"scores {beside}; {CHECKPOINT}"
        elif ahead[base] >= LEVEL:
            yield expert, f"scores {beside}: the paired test cannot tell it from the base"
        better = [model for model, p in ahead.items() if p < LEVEL and by_model[benchmark, model] > own]
        better = [model for model in better if model != base]  # which has been said
        if better and own > 0:
            yield expert, f"is clearly beaten on {benchmark}, its own benchmark, by {', '.join(better)}"


def ahead_of(comparisons: pd.DataFrame, model: str) -> dict[str, float]:
    """The adjusted p of the comparisons of one model, by the other one."""
    known = zip(comparisons["first"], comparisons["second"], comparisons["p_adjusted"], strict=True)
    return {second if first == model else first: p for first, second, p in known if model in (first, second)}


def about_measuring(scores: pd.DataFrame) -> Iterator[Caution]:
    """Limits, and the warnings that the evaluation left in the scores files."""
    limited = scores[scores["limit"].notna()]
    for model, rows in limited.groupby("model", sort=False):
        asked = [
            f"{count:,} of {benchmark}" for benchmark, count in zip(rows["benchmark"], rows["questions"], strict=True)
        ]
        yield str(model), f"answered, as `limit` says, only {', '.join(asked)}: no scores of whole benchmarks"
    for row in scores.to_dict("records"):
        yield from ((row["model"], " ".join(text.split())) for text in row["warnings"])


def about_verdicts(scores: pd.DataFrame, numbers: Numbers) -> Iterator[Caution]:
    """Scores that are no mean of the verdicts, so that the paired tests have nothing to say of them."""
    unknown = numbers.weights.columns[numbers.weights.drop(index=MEAN).isna().any()]
    means = ", nor by mean normalised scores" if numbers.weights.loc[MEAN].isna().any() else ""
    for benchmark in dict.fromkeys(unknown.get_level_values("benchmark")):
        for model in scores["model"].unique():
            why = "scores there are not the mean of the verdicts in samples/, by question or by task"
            yield model, f"not compared on {benchmark}{means}: {why}"
