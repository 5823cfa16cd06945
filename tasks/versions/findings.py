"""What versions say, in sentences: which recipe wins, where the best score was, and what the last step changed."""

from collections import Counter

from tasks.leaderboard.words import listing, number
from tasks.versions.best import best
from tasks.versions.sentences import counted
from tasks.versions.table import Comparison
from tasks.versions.version import MEAN


def findings(comparison: Comparison, benchmark: str = MEAN) -> list[str]:
    """The answer first: who wins how often, the best of all versions, the last step.

    Args:
        comparison: At least one version.
        benchmark: What the table shows.
    """
    lines = [wins(comparison, benchmark)]
    found = best(comparison.versions)
    if benchmark == MEAN and found is not None and len(comparison.versions) > 1:
        lines.append(
            f"The best so far, measured as the newest version: {found.recipe} at {found.version.label} "
            f"with a mean score of {number(found.score)}."
        )
    if not comparison.steps:
        return [*lines, "There is one version, and nothing to compare it with yet."]
    return [*lines, *comparison.steps[-1].sentences()]


def wins(comparison: Comparison, benchmark: str) -> str:
    """Which recipes have the highest score in how many versions."""
    winners = [version.winners(benchmark) for version in comparison.versions]
    count = Counter(name for names in winners for name in names)
    what = "mean score" if benchmark == MEAN else f"score on {benchmark}"
    if not count:
        return f"No recipe has a {what}."
    total = len(comparison.versions)
    named = [
        f"{recipe} {'in all of them' if times == total else f'in {times}'}" for recipe, times in count.most_common()
    ]
    if total == 1:
        have = "has" if len(count) == 1 else "have"
        return f"{listing(list(count))} {have} the highest {what}."
    return f"Highest {what} of {counted(total, 'version')}: {', '.join(named)}."
