"""A model that knows the answers, and what the benchmarks make of it: its scores as JSON.

`python -m tests.tasks.gold_model LIMIT TASK...`: it answers all right, and then all wrong. With the limit 0 it is asked
every question. In a process of its own, for the Hub that datasets come from is chosen by the environment.
"""

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.evaluator import evaluate

from tasks.console import quiet
from tasks.evaluation.harness import load_tasks
from tasks.evaluation.programs import CHECKER
from tasks.zoo.boxed import last_boxed

FINAL = "{}\nFinal Answer: The final answer is ${}$. I hope it is correct."


class Knowing(LM):
    """Answers from the question's own document."""

    def __init__(self, right: bool) -> None:
        super().__init__()
        self.right = right

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:  # noqa: ARG002
        if self.right:
            return [right_answer(request.task_name, request.doc) for request in requests]
        return [wrong_answer(request.task_name) for request in requests]

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> Any:
        raise NotImplementedError

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> Any:
        raise NotImplementedError


def right_answer(task: str, document: dict[str, Any]) -> str:
    """The reference solution."""
    match task:
        case "gsm8k":
            return document["answer"]
        case "humaneval":
            return document["canonical_solution"]
        case "mbpp":
            return document["code"]
    # The document's own answer lacks what stands before an equals sign, which counts for math-verify.
    answer = last_boxed(document["solution"]) or document["answer"]
    return FINAL.format(document["solution"], answer)


def wrong_answer(task: str) -> str:
    """What is right nowhere."""
    match task:
        case "gsm8k":
            return "#### 987654321"
        case "humaneval":
            return "    pass\n"
        case "mbpp":
            return "pass"
    return FINAL.format("I guess.", "987654321")


def score(name: str, right: bool, limit: int | None) -> dict[str, Any]:
    """Every metric of a benchmark, and the questions that its first one says are wrong."""
    started = time.monotonic()
    outcome = evaluate(
        lm=Knowing(right), task_dict=load_tasks(name), limit=limit, confirm_run_unsafe_code=True, bootstrap_iters=0
    )
    samples = [sample | {"task": task} for task in outcome["samples"] for sample in outcome["samples"][task]]
    metrics = outcome["results"][name]
    return {
        "questions": len({(sample["task"], sample["doc_id"]) for sample in samples}),
        "metrics": {key: value for key, value in metrics.items() if "," in key and "_stderr," not in key},
        "judged": [
            {key: sample[key] for key in ("task", "doc_id", "filter", "target", "filtered_resps")}
            | {metric: sample[metric] for metric in sample["metrics"]}
            for sample in samples
            if len({sample[metric] for metric in sample["metrics"]} - {float(right)})
        ],
        "seconds": round(time.monotonic() - started, 1),
    }


def scores(names: Sequence[str], right: bool, limit: int | None) -> dict[str, dict[str, Any]]:
    """`score` of each benchmark."""
    return {name: score(name, right, limit) for name in names}


def main() -> None:
    quiet()
    CHECKER.use("bubblewrap", CHECKER.track)
    limit, *names = sys.argv[1:]
    sides = {"right": True, "wrong": False}
    print(json.dumps({side: scores(names, right, int(limit) or None) for side, right in sides.items()}))


if __name__ == "__main__":
    main()
