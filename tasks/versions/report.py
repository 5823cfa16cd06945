"""Versions as a page: one file that opens offline, the answer first."""

from pathlib import Path
from typing import Any

from tasks.leaderboard import words
from tasks.leaderboard.compare import LEVEL
from tasks.report.page import fill
from tasks.versions.findings import findings
from tasks.versions.markdown import verdict
from tasks.versions.moved import in_words
from tasks.versions.pictures import pictures
from tasks.versions.rows import score_table
from tasks.versions.show import FELL, ROSE, UNTESTED
from tasks.versions.table import Comparison
from tasks.versions.version import MEAN

TEMPLATE = Path(__file__).parent / "report.html.j2"


def render(comparison: Comparison) -> str:
    """The page."""
    return fill(
        TEMPLATE,
        findings=findings(comparison),
        versions=len(comparison.versions),
        recipes=comparison.recipes,
        tables=[score_table(comparison, name) for name in (MEAN, *comparison.benchmarks)],
        steps=step_rows(comparison),
        last=comparison.steps[-1] if comparison.steps else None,
        changes=change_rows(comparison),
        level=LEVEL,
        marks={"rose": ROSE, "fell": FELL, "untested": UNTESTED},
        pictures=pictures(comparison),
    )


def step_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """What moved to each version and what was really better or worse then, the newest first."""
    return [
        {"name": step.after.label, "moved": in_words(step.moves), "found": [*step.falls, *step.gains]}
        for step in reversed(comparison.steps)
    ]


def change_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """The last step in full: every recipe by its mean and on each benchmark."""
    return [
        {
            "recipe": change.recipe,
            "benchmark": change.benchmark,
            "before": words.number(change.before),
            "after": words.number(change.after),
            "difference": words.signed(change.difference),
            "interval": words.interval(change.low, change.high),
            "gained": change.gained if change.tested else words.BLANK,
            "lost": change.lost if change.tested else words.BLANK,
            "p": words.probability(change.p_adjusted),
            "apart": change.told_apart,
            "verdict": verdict(change),
        }
        for step in comparison.steps[-1:]
        for change in step.changes
    ]
