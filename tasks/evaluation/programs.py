"""Execution of model-written programs for lm-eval's metrics: in the sandbox, many at a time.

lm-eval scores one question after the other and executes programs in its own process. Here the programs of a whole
benchmark are run in parallel sandboxes before it begins to score; the metric then looks its verdict up.
"""

import math
from collections.abc import Sequence
from typing import Any

from tasks.sandbox import Isolation, Verdict, check_available, run_programs
from wudi.progress import Track, silent

Program = tuple[str, str]
"""A candidate's code and the test code that is run after it."""


class ProgramChecker:
    """Verdicts on programs, each run once."""

    def __init__(self) -> None:
        self._verdicts: dict[Program, Verdict] = {}
        self.isolation: Isolation = "bubblewrap"
        self.track: Track = silent

    def use(self, isolation: Isolation, track: Track) -> None:
        """Choose what isolates programs.

        Raises:
            WudiError: It is not available on this machine.
        """
        check_available(isolation)
        self.isolation, self.track = isolation, track

    def run(self, programs: Sequence[Program]) -> None:
        """Run the programs whose verdict is not known yet."""
        new = [program for program in dict.fromkeys(programs) if program not in self._verdicts]
        if not new:
            return
        verdicts = run_programs(new, isolation=self.isolation, track=self.track)
        self._verdicts.update(zip(new, verdicts, strict=True))

    def known(self, candidate: str, test: str) -> Verdict | None:
        """The verdict on a program that was run."""
        return self._verdicts.get((candidate, test))

    def verdict(self, candidate: str, test: str) -> Verdict:
        """What becomes of the candidate when the test is run after it."""
        self.run([(candidate, test)])
        return self._verdicts[candidate, test]

    def passed(self, candidate: str, test: str) -> bool:
        """Whether the candidate passes the test."""
        return self.verdict(candidate, test).passed


CHECKER = ProgramChecker()
"""lm-eval calls metrics as plain functions, so the checker that they use is one for the process."""


def pass_at_1(references: list[str], predictions: list[list[str]]) -> float:
    """The fraction of one question's candidates that pass its test: lm-eval's metric of the miniatures."""
    candidates = predictions[0]
    return sum(CHECKER.passed(candidate, references[0]) for candidate in candidates) / len(candidates)


class CodeEval:
    """Stands in for the Hub's `code_eval` metric, which executes programs in the calling process."""

    def compute(
        self, references: list[str], predictions: list[list[str]], k: Sequence[int] = (1,)
    ) -> tuple[dict[str, float], dict[str, Any]]:
        """Unbiased pass@k (Chen et al., 2021, equation 1): the mean over questions of 1 − C(n−c, k) / C(n, k)."""
        counts = [
            (len(candidates), sum(CHECKER.passed(candidate, test) for candidate in candidates))
            for test, candidates in zip(references, predictions, strict=True)
        ]
        estimates = {
            f"pass@{size}": sum(1 - math.comb(n - c, size) / math.comb(n, size) for n, c in counts) / len(counts)
            for size in k
        }
        return estimates, {}
