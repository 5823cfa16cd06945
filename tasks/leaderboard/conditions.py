"""What the models were measured with: one that was measured otherwise than the others compares badly."""

from collections import Counter
from collections.abc import Iterator

import pandas as pd

from tasks.leaderboard.words import BLANK, listing, text

SETTINGS = {
    "task": "task",
    "task_version": "version of the task",
    "metric": "metric",
    "filter": "filter",
    "num_fewshot": "number of examples",
    "chat_template": "chat template",
    "limit": "limit",
    "backend": "backend",
    "device": "device",
    "dtype": "data type",
}


def limited(scores: pd.DataFrame) -> pd.Series:
    """Which scores a `limit` made scores of fewer questions than there are.

    A file from before it said how many there are has been limited wherever a limit is set.
    """
    return scores["limit"].notna() & ~(scores["questions"] >= scores["questions_available"])


def odd_ones(scores: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Each model that was measured otherwise than most are on the same benchmarks, and what differs.

    Args:
        scores: As `load_scores` gives them.
    """
    scores = scores.reset_index(drop=True)
    measured = measured_with(scores)
    for setting in measured:
        own = measured[setting]
        usual = own.groupby(scores["benchmark"]).transform(most_frequent)
        odd = scores[own != usual].assign(own=own, usual=usual)
        for (model, value, others), rows in odd.groupby(["model", "own", "usual"], sort=False):
            where = listing(list(rows["benchmark"]))
            yield str(model), f"measured on {where} with {setting} {value}, where other models have {others}"


def measured_with(scores: pd.DataFrame) -> pd.DataFrame:
    """Everything that should be the same for all models of a benchmark, in words: a row for each score."""
    effective = scores.assign(limit=scores["limit"].where(limited(scores)))
    settings = effective[list(SETTINGS)].rename(columns=SETTINGS)
    versions = pd.DataFrame(list(scores["versions"]), scores.index).add_prefix("version of ")
    return settings.join(versions).map(text).replace(BLANK, "none")


def most_frequent(values: pd.Series) -> str:
    """The value that most have; of equally many, the one that comes first."""
    return str(Counter(values).most_common(1)[0][0])
