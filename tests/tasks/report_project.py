"""A project as large as one wishes, as the stages before `record` leave it: models of different strength."""

import json
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tasks import paths
from tasks.leaderboard import gather_files, write_results
from tasks.params import Params, load_params
from tests.tasks.small_project import measured, write, write_answers

COMMIT = "0123456789abcdef0123456789abcdef01234567"
METHODS = (
    {"method": "wudi", "iterations": 100},
    {"method": "ties", "density": 0.3},
    {"method": "task_arithmetic", "scale": 0.5},
    {"method": "average"},
)
TENSORS = [
    f"model.layers.{block}.{module}.weight"
    for block in range(8)
    for module in ("self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj")
]

MEASURED = 4
"""Recipes beyond these have not measured the interference, of which each has a picture."""


def make_report_project(
    folder: Path, recipes: Sequence[str], benchmarks: Sequence[str], questions: int = 40, source: str = "owner/model"
) -> Params:
    """Write all of it: an expert for each benchmark, recipes that are the better the earlier they stand.

    Args:
        questions: Of each benchmark.
        source: Where every model comes from.
    """
    experts = [f"{benchmark[:50]}_expert" for benchmark in benchmarks]
    params = {
        "base": {"source": source, "revision": None},
        "experts": {
            name: {"source": source, "revision": "main", "benchmarks": [benchmark]}
            for name, benchmark in zip(experts, benchmarks, strict=True)
        },
        "recipes": dict(zip(recipes, cycle(METHODS), strict=False)),
        "merge": {"device": "auto", "dtype": "auto", "vocabulary": "error"},
        "evaluation": {
            "backend": "hf",
            "sandbox": "bubblewrap",
            "benchmarks": {benchmark: {"task": f"zoo_{benchmark}"} for benchmark in benchmarks},
        },
        "zoo": {"seed": 0, "base_steps": 250, "expert_steps": 300},
    }
    write(folder / "params.yaml", yaml.safe_dump(params, sort_keys=False))
    strengths = dict(zip(recipes, np.linspace(0.65, 0.25, len(recipes)), strict=True))
    for name, strength in {"base": 0.15, **dict.fromkeys(experts, 0.2), **strengths}.items():
        own = dict(zip(experts, benchmarks, strict=True)).get(name)
        right = {benchmark: 0.9 if benchmark == own else strength for benchmark in benchmarks}
        write_answers(folder, name, answers(name, right, questions))
        spent = {benchmark: {"seconds": 2.5, "tokens": 900} for benchmark in benchmarks}
        write_timing(folder, "evaluate", name, 15.0, benchmarks=spent)
    for number, name in enumerate(recipes):
        write_merge(folder, name, experts, TENSORS if number < MEASURED else (), 0.05 + 0.02 * number)
        write_timing(folder, "merge", name, 60.0 / (1 + number))
    write_similarity(folder, experts)
    return load_params(folder / "params.yaml")


def written_report(folder: Path, params: Params, *, partial: bool = False) -> Path:
    """The report of a project, which is not the working folder afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder / write_results(gather_files(params, partial=partial), params)


def answers(name: str, right: Mapping[str, float], questions: int) -> dict[str, list[float]]:
    """Which questions a model gets right: so many of each benchmark, the easy ones rather than the hard ones."""
    draw = np.random.default_rng(sum(name.encode()))
    ease = np.linspace(1, -1, questions)
    return {
        benchmark: [float(value) for value in ease + draw.normal(0, 0.4, questions) > 1 - 2 * share]
        for benchmark, share in right.items()
    }


def write_timing(folder: Path, stage: str, name: str, seconds: float, **details: Any) -> None:
    """Seconds as a stage leaves them."""
    content = {"seconds": seconds, "device": "cpu", "hardware": "A make of CPU, 2 cores", **details}
    write(folder / paths.timing(stage, name), json.dumps(content))


def write_merge(folder: Path, name: str, experts: Sequence[str], tensors: Sequence[str], left: float) -> None:
    """What a merge says of itself, with the interference that it left in each of these tensors."""
    hashes = {"model.safetensors": "ab" * 32}
    record = {
        "base": hashes,
        "experts": dict.fromkeys(experts, hashes),
        "outputs": {"model.safetensors": "cd" * 32},
        "sources": {f"experts/{expert}": f"owner/model@{COMMIT}" for expert in experts}
        | {"base": f"owner/model@{COMMIT}"},
        "versions": {"torch": "2.13.0"},
        "layers": {tensor: measured(3.0, 1.0, left * (1 + number)) for number, tensor in enumerate(tensors)},
    }
    write(folder / paths.merged(name) / "merge.json", json.dumps(record))


def write_similarity(folder: Path, experts: Sequence[str]) -> None:
    """Cosines of experts that are nearly unrelated, and the sizes of their task vectors."""
    matrix = (0.95 * np.eye(len(experts)) + 0.05).tolist()
    kinds = dict.fromkeys(("linear", "embedding", "rest"), matrix)
    modules = dict.fromkeys(("q_proj", "o_proj", "up_proj", "down_proj"), matrix)
    content = {"experts": list(experts), "overall": matrix, "kinds": kinds, "modules": modules}
    write(folder / paths.SIMILARITY, json.dumps(content))
    for name in experts:
        write(folder / paths.task_vector(name) / "summary.json", json.dumps({"expert": name, "relative_norm": 0.052}))
