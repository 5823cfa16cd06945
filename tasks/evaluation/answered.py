"""What was asked, answered and judged, a line a question."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tasks.evaluation.programs import CHECKER
from tasks.strict import ParamsError

Sample = Mapping[str, Any]
"""What lm-eval logs of one question under one answer extraction."""


def answers_of(samples: Mapping[str, Sequence[Sample]], score: str) -> Iterator[dict[str, Any]]:
    """The lines of a samples file, task by task and question by question.

    Args:
        samples: lm-eval's log of each task.
        score: The `metric,filter` that counts.

    Raises:
        ParamsError: The metric has no number for each question, so that models could not be compared by it.
    """
    metric, _, extraction = score.partition(",")
    number = 0
    for task, logged in samples.items():
        verdicts = verdicts_of(logged)
        for sample in logged:
            if sample["filter"] != extraction:
                continue
            if score not in verdicts[sample["doc_id"]]:
                raise ParamsError(
                    f"params.yaml: evaluation.benchmarks: {metric} of {task} says nothing of a single question, so "
                    f"models cannot be compared by it; takes {', '.join(verdicts[sample['doc_id']]) or 'another task'}"
                )
            yield {
                "question": number,
                "task": task,
                "prompt": sample["arguments"][0][0],
                **answer_of(sample),
                "target": sample["target"],
                "correct": verdicts[sample["doc_id"]][score],
                "verdicts": verdicts[sample["doc_id"]],
                **failure_of(sample),
            }
            number += 1


def verdicts_of(logged: Sequence[Sample]) -> dict[int, dict[str, float]]:
    """Each question's numbers by `metric,filter`; metrics that hold something else are left out."""
    verdicts: dict[int, dict[str, float]] = {}
    for sample in logged:
        of_question = verdicts.setdefault(sample["doc_id"], {})
        for metric in sample["metrics"]:
            if isinstance(sample[metric], int | float):
                of_question[f"{metric},{sample['filter']}"] = float(sample[metric])
    return verdicts


def answer_of(sample: Sample) -> dict[str, Any]:
    """What the model wrote and what was cut out of it; of choices, the likeliest and the log-likelihood of each."""
    first = sample["resps"][0][0]
    if isinstance(first, str):
        return {"generation": first, "extracted": sample["filtered_resps"][0]}
    if not isinstance(first, Sequence):
        return {"generation": None, "extracted": first}
    likelihoods = [float(responses[0][0]) for responses in sample["resps"]]
    likeliest = sample["arguments"][likelihoods.index(max(likelihoods))][1]
    return {"generation": likeliest, "extracted": likeliest, "loglikelihoods": likelihoods}


def failure_of(sample: Sample) -> dict[str, str]:
    """Why a program failed, where the answer is one."""
    answer = sample["filtered_resps"][0]
    candidates = answer if isinstance(answer, list) else [answer]
    for candidate in candidates:
        verdict = CHECKER.known(candidate, str(sample["target"])) if isinstance(candidate, str) else None
        if verdict is not None and not verdict.passed:
            return {"detail": f"{verdict.outcome}: {verdict.detail}"}
    return {}
