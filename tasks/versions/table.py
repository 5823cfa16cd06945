"""Versions as a pandas table, and as rows to look at."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from tasks.versions.differences import Differences, differences
from tasks.versions.version import MEAN, Version

COLUMNS = [
    *("version", "until", "names", "commit", "when", "kind", "model", "benchmark"),
    *("score", "stderr", "normalised", "questions", "wins"),
]


def version_table(versions: Sequence[Version]) -> pd.DataFrame:
    """A row for each version, model and benchmark, and one for each model's mean over the benchmarks (`mean`).

    `score` and `stderr` are between 0 and 1, `normalised` is in percent of the benchmark's expert, `names`
    says how many tags or nights the version is, `wins` whether the recipe has the highest score of its version there.
    """
    tables = [rows_of(version) for version in versions]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)


def rows_of(version: Version) -> pd.DataFrame:
    """The rows of one version."""
    means = version.summary.rename_axis("model").reset_index().assign(benchmark=MEAN)
    parts = [part for part in (version.scores, means) if len(part)]
    table = pd.concat([part.reindex(columns=COLUMNS) for part in parts], ignore_index=True)
    winners = {(name, benchmark) for benchmark in [*version.benchmarks, MEAN] for name in version.winners(benchmark)}
    cells = zip(table["model"], table["benchmark"], strict=True)
    return table.assign(
        version=version.label,
        until=version.until,
        names=len(version.names),
        commit=version.commit,
        when=version.when,
        wins=[cell in winners for cell in cells],
    )


@dataclass(frozen=True, eq=False)
class Comparison:
    """Versions in their order, each beside the one before it."""

    versions: list[Version]
    """Nights in which nothing changed are one."""
    steps: list[Differences]
    """One fewer than the versions."""

    def step_to(self, version: Version) -> Differences | None:
        """What a version differs in from the one before it; None for the first."""
        return next((step for step in self.steps if step.after is version), None)

    @property
    def recipes(self) -> list[str]:
        """All recipes, in the order of the newest version; those that it has no more come last."""
        return list(dict.fromkeys(name for version in reversed(self.versions) for name in version.recipes))

    @property
    def benchmarks(self) -> list[str]:
        """All benchmarks, in the order of the newest version."""
        return list(dict.fromkeys(name for version in reversed(self.versions) for name in version.benchmarks))


def compare(versions: Sequence[Version]) -> Comparison:
    """Compare each version with the one before it; only the last step has intervals, which take long.

    Raises:
        WudiError: A file of answers is broken.
    """
    comparison = Comparison(list(versions[-1:]), [])
    for version in reversed(versions[:-1]):
        comparison = preceded(comparison, version)
    last = [differences(step.before, step.after) for step in comparison.steps[-1:]]
    return Comparison(comparison.versions, [*comparison.steps[:-1], *last])


def preceded(comparison: Comparison, version: Version) -> Comparison:
    """A comparison with one more version before its first one; the two are one where nothing differs.

    Raises:
        WudiError: A file of answers is broken.
    """
    first, *others = comparison.versions
    step = differences(version, first, with_intervals=False)
    if not step.same:
        return Comparison([version, first, *others], [step, *comparison.steps])
    both = replace(version, names=(*version.names, *first.names))
    steps = [replace(next_step, before=both) for next_step in comparison.steps[:1]]
    return Comparison([both, *others], [*steps, *comparison.steps[1:]])
