"""`python -m benchmarks.math_verdicts`: MATH's verdicts beside the harness's own, into docs/benchmarks.md."""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.environment import Environment
from benchmarks.math_answers import mistaken, reformatted, right
from benchmarks.merge import table, told
from benchmarks.page import put_section
from benchmarks.process import ROOT
from tasks.evaluation.harness import load_tasks
from tasks.evaluation.judges import judge_all
from wudi.errors import WudiError

PAGE = ROOT / "docs" / "benchmarks.md"
PACKAGES = ("lm_eval", "math-verify", "latex2sympy2_extended", "sympy", "antlr4-python3-runtime")
HARNESS = Environment(
    "harness", (f"torch=={version('torch').partition('+')[0]}", f"lm-eval[math]=={version('lm_eval')}")
)
SUBJECTS = ("algebra", "counting_and_prob", "geometry", "intermediate_algebra", "num_theory", "prealgebra", "precalc")
FAMILIES = ("right", "reformatted", "wrong")
METRICS = ("exact_match", "math_verify")

Verdict = dict[str, float]


@dataclass(frozen=True)
class Answer:
    """One answer to judge, and how it came to be."""

    family: str
    kind: str
    document: dict[str, Any]
    text: str


def main() -> None:
    """Judge everything twice, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the changes that are made to answers")
    parser.add_argument("--limit", type=int, help="problems of each subject; all of them")
    parser.add_argument("--no-page", action="store_true", help="print, and leave docs/benchmarks.md as it is")
    options = parser.parse_args()
    try:
        HARNESS.install()
        judge, documents = problems(options.limit)
        text = compared(list(answers(documents, options.seed)), judge, options.seed)
    except WudiError as error:
        sys.exit(f"error: {error}")
    print(text)
    if not (options.no_page or options.limit):
        put_section("verdicts", text, PAGE)


def problems(limit: int | None) -> tuple[Callable[..., Verdict], list[dict[str, Any]]]:
    """The harness's function that judges, and the test problems of all subjects."""
    tasks = [load_tasks(f"minerva_math_{subject}")["tasks"][f"minerva_math_{subject}"] for subject in SUBJECTS]
    documents = [document for task in tasks for document in list(task.test_docs())[:limit]]
    return tasks[0].config.process_results, documents


def answers(documents: Sequence[dict[str, Any]], seed: int) -> Iterator[Answer]:
    """A right, a reformatted and a wrong answer to each problem."""
    chance = random.Random(seed)
    for document in documents:
        answer = document["answer"]
        yield Answer("right", "as in the dataset", document, right(document["solution"], answer))
        yield Answer("reformatted", *told_as(document, reformatted(answer, chance)))
        other = chance.choice(documents)["answer"]
        yield Answer("wrong", *told_as(document, mistaken(answer, other, chance)))


def told_as(document: dict[str, Any], made: tuple[str, str]) -> tuple[str, dict[str, Any], str]:
    """The rest of an `Answer`."""
    kind, text = made
    return kind, document, text


def compared(judged: list[Answer], judge: Callable[..., Verdict], seed: int) -> str:
    """The section, from verdicts of both sides."""
    told(f"{len(judged)} answers; the harness: {HARNESS.versions(PACKAGES)}")
    started = time.perf_counter()
    theirs = harness_verdicts(judged)
    between = time.perf_counter()
    told(f"the harness: {between - started:.0f} s")
    ours = judge_all(judge, [(answer.document, [answer.text]) for answer in judged])
    wrong, seconds = dict.fromkeys(METRICS, 0), (between - started, time.perf_counter() - between)
    return section(list(zip(judged, theirs, [verdict or wrong for verdict in ours], strict=True)), seed, seconds)


def harness_verdicts(judged: Sequence[Answer]) -> list[Verdict]:
    """What the harness says in its own environment.

    Raises:
        WudiError: It fails.
    """
    lines = "".join(json.dumps([answer.document, answer.text]) + "\n" for answer in judged)
    command: list[str | Path] = [HARNESS.python, ROOT / "benchmarks" / "harness_verdicts.py"]
    ended = subprocess.run(command, input=lines, capture_output=True, text=True)
    if ended.returncode:
        raise WudiError(f"{HARNESS.folder}: judging failed: {' '.join(ended.stderr.strip().splitlines()[-3:])}")
    return [json.loads(line) for line in ended.stdout.splitlines()]


def section(verdicts: list[tuple[Answer, Verdict, Verdict]], seed: int, seconds: tuple[float, float]) -> str:
    """The text around the table, and the list of disagreements."""
    differing = [line(*verdict) for verdict in verdicts if verdict[1] != verdict[2]]
    here = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return f"""## MATH's verdicts beside the harness's own

Made by `python -m benchmarks.math_verdicts` (seed {seed}). Judged are {len(verdicts):,} answers to the
{len(verdicts) // 3:,} test problems of MATH, here and by the harness's `minerva_math` in an environment of its own.
Each problem has three answers: the reference solution with the answer as the harness normalises it; the right answer in
one to three other ways of writing it (fractions, decimals, spaces, units, separators, order, delimiters), not all of
which the rules accept; and a wrong one (another problem's, one off, sign, empty, garbage, cut off), some of which the
change leaves right.

- here: {here}; {seconds[1]:.0f} s in {os.cpu_count()} processes
- the harness: {HARNESS.versions(PACKAGES)}; {seconds[0]:.0f} s in one

{table([row(verdicts, family, metric) for family in FAMILIES for metric in METRICS])}

{"There is no disagreement." if not differing else "Disagreements:" + chr(10) * 2 + chr(10).join(differing)}
"""


def row(verdicts: list[tuple[Answer, Verdict, Verdict]], family: str, metric: str) -> dict[str, str]:
    """How often both sides agree on one kind of answers."""
    count = Counter((theirs[metric], ours[metric]) for answer, theirs, ours in verdicts if answer.family == family)
    return {
        "answers": family,
        "metric": metric,
        "both say right": f"{count[1, 1]:,}",
        "both say wrong": f"{count[0, 0]:,}",
        "only the harness says right": f"{count[1, 0]:,}",
        "only this project says right": f"{count[0, 1]:,}",
    }


def line(answer: Answer, theirs: Verdict, ours: Verdict) -> str:
    """One disagreement."""
    wanted = answer.document["answer"]
    return f"- {answer.family} ({answer.kind}): `{wanted}`, answered `{answer.text[-120:]!r}`: {theirs} / {ours}"


if __name__ == "__main__":
    main()
