"""A project with two benchmarks and three recipes, as the stages before `record` leave it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import yaml

from tasks import answers_file, paths
from tasks.params import Params, load_params

EXPERTS = {"gsm8k": "gsm", "math": "maths"}
Answers = Mapping[str, Mapping[str, Sequence[float]]]


def pattern(right: int, of: int) -> list[float]:
    """Right on the first questions, wrong on the others."""
    return [1.0] * right + [0.0] * (of - right)


def measured(at_sum: float, at_mean: float, at_result: float) -> dict[str, float]:
    """What a merge writes about the interference in one layer."""
    return {"interference_sum": at_sum, "interference_mean": at_mean, "interference_result": at_result}


ANSWERS: Answers = {
    "base": {"gsm8k": pattern(0, 40), "math": pattern(1, 20)},
    "gsm": {"gsm8k": pattern(32, 40), "math": pattern(0, 20)},
    "maths": {"gsm8k": pattern(4, 40), "math": pattern(10, 20)},
    "average": {"gsm8k": pattern(8, 40), "math": pattern(5, 20)},
    "wudi": {"gsm8k": pattern(24, 40), "math": pattern(8, 20)},
    "same": {"gsm8k": pattern(24, 40), "math": pattern(8, 20)},
}
RECIPES = ["average", "wudi", "same"]


LAYERS = {
    "model.layers.0.self_attn.q_proj.weight": measured(3.0, 1.0, 0.5),
    "model.layers.1.self_attn.q_proj.weight": {**measured(1.0, 0.5, 0.5), "rank": 12, "iterations": 40},
    "model.layers.0.mlp.up_proj.weight": measured(0.0, 0.0, 0.0),
}
SIMILARITY = {
    "experts": ["gsm", "maths"],
    "overall": [[1.0, 0.123456], [0.123456, 1.0]],
    "kinds": {"linear": [[1.0, -0.25], [-0.25, 1.0]]},
    "modules": {"q_proj": [[1.0, -0.001], [-0.001, 1.0]]},
}


def make_project(
    folder: Path,
    answers: Answers = ANSWERS,
    recipes: Sequence[str] = RECIPES,
    layers: Mapping[str, Mapping[str, Mapping[str, float]]] = MappingProxyType({"wudi": LAYERS}),
) -> Params:
    """Write params.yaml and everything that the stages before `record` leave, and read params.yaml back.

    Args:
        layers: What the merges by some recipes have measured, by tensor.
    """
    params = {
        "base": {"source": "zoo:base", "revision": None},
        "experts": {
            "gsm": {"source": "zoo:gsm8k", "revision": None, "benchmarks": ["gsm8k"]},
            "maths": {"source": "zoo:math", "revision": None, "benchmarks": ["math"]},
        },
        "recipes": {name: {"method": "wudi" if name == "wudi" else "average"} for name in recipes},
        "merge": {"device": "auto", "dtype": "auto", "vocabulary": "error"},
        "evaluation": {
            "backend": "hf",
            "sandbox": "bubblewrap",
            "benchmarks": {"gsm8k": {"task": "zoo_gsm8k"}, "math": {"task": "zoo_math"}},
        },
        "zoo": {"seed": 0, "base_steps": 250, "expert_steps": 300},
    }
    write(folder / "params.yaml", yaml.safe_dump(params, sort_keys=False))
    for name, by_benchmark in answers.items():
        write_answers(folder, name, by_benchmark)
    for name in recipes:
        write(folder / paths.merged(name) / "merge.json", json.dumps({"layers": layers.get(name, {})}))
        write(folder / paths.timing("merge", name), json.dumps({"seconds": 1.93, "device": "cpu"}))
    for name in EXPERTS.values():
        write(folder / paths.task_vector(name) / "summary.json", json.dumps({"expert": name, "relative_norm": 0.052}))
    write(folder / paths.SIMILARITY, json.dumps(SIMILARITY))
    return load_params(folder / "params.yaml")


def write(path: Path, text: str) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_answers(folder: Path, name: str, by_benchmark: Mapping[str, Sequence[float]]) -> None:
    """Write a model's scores and samples, as `tasks.evaluate` does."""
    evaluations, lines = [], {}
    for benchmark, correct in by_benchmark.items():
        task = f"zoo_{benchmark}"
        same = {"task": task, "prompt": "?", "generation": "<b>\ud83d</b>", "extracted": "1", "target": "1"}
        lines[benchmark] = [{"question": number, **same, "correct": value} for number, value in enumerate(correct)]
        evaluations.append(
            {
                "benchmark": benchmark,
                "task": task,
                "metric": "exact_match",
                "filter": "strict-match",
                "score": float(np.mean(correct)),
                "stderr": float(np.std(correct) / np.sqrt(len(correct))),
                "questions": len(correct),
                "num_fewshot": 2,
                "limit": None,
                "chat_template": False,
                "task_version": 1.0,
                "other_metrics": {},
                "sandbox": None,
                "model_sha256": "0123456789abcdef" * 4,
                "versions": {"lm_eval": "0.4.13"},
            }
        )
    answers_file.write_answers(folder / paths.samples(name), lines)
    write(folder / paths.scores(name), json.dumps({"mean": 0.5, "evaluations": evaluations}))
