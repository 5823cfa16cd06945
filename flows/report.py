"""What a run says: a line as each stage ends, a line at the end, a paragraph for each failure."""

import os
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from flows.graph import Stage
from flows.stage import Outcome
from tasks.console import step

Ending = Outcome | Literal["failed", "stopped", "not run"]
ORDER: tuple[Ending, ...] = ("ran", "restored", "unchanged", "failed", "stopped", "not run")

RECORD = "record"
"""The stage that can make do with what there is."""


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """How a stage ended."""

    stage: str
    outcome: Ending
    seconds: float = 0.0
    problem: str = ""
    """The end of a failed stage's output; for one that was not run, what it waited for."""


class Reporter:
    """Prints the stages' ends in columns as wide as the longest name."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._width = max((len(stage.name) for stage in stages), default=0)

    def stage(self, report: StageReport) -> None:
        """One line."""
        if report.outcome == "not run":
            end = f"  {report.problem}"
        elif report.outcome == "unchanged":
            end = ""
        else:
            end = f"  {report.seconds:8.1f} s"
        step(f"{report.outcome:<9}  {report.stage:<{self._width}}{end}".rstrip())


def retry_line(stage: str, delay: float, attempt: int, attempts: int) -> None:
    """Print one line before another attempt."""
    step(f"{'retry':<9}  {stage}  attempt {attempt} of {attempts} in {delay:g} s")


def summary(reports: Mapping[str, StageReport], seconds: float) -> str:
    """How many stages ended how, in one line."""
    counts = Counter(report.outcome for report in reports.values())
    parts = [f"{counts[outcome]} {outcome}" for outcome in ORDER if counts[outcome]]
    return f"{', '.join(parts) or 'nothing to do'}, in {seconds:.0f} s"


def failures(reports: Mapping[str, StageReport], root: Path) -> str:
    """The failed stages with the end of what each said, and what to do."""
    failed = [report for report in reports.values() if report.outcome == "failed"]
    skipped = [report.stage for report in reports.values() if report.outcome == "not run"]
    parts = [f"{report.stage} failed:\n{indented(report.problem)}" for report in failed]
    if skipped:
        parts.append(f"Not run, because it depends on that: {', '.join(skipped)}.")
    if RECORD in skipped:
        parts.append("`python -m tasks.record --partial` shows what is there.")
    alone = repro_command([report.stage for report in failed], root)
    parts.append(f"Run the same command again to try again, or `{alone}` for that alone: what is done is kept.")
    return "\n".join(parts)


def repro_command(stages: Sequence[str], root: Path) -> str:
    """The command of DVC that runs stages of the folder `root` from the current folder."""
    folder = min(os.path.relpath(root), str(root.resolve()), key=len)
    return shlex.join(["dvc", *([] if folder == "." else ["--cd", folder]), "repro", *stages])


def indented(text: str) -> str:
    """The text, set off from what is around it."""
    return "\n".join(f"    {line}" for line in text.splitlines())
