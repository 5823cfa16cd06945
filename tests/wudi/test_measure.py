"""The interference in merge.json, and that nothing in a merge's folder depends on when it was made."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.wudi.merges import Trio, all_tensors, contents, interrupted, run, run_command, task_vectors
from wudi import Layer, Recipe
from wudi.methods.interference import interference
from wudi.methods.quadratic import total

MEASURED = {"interference_sum", "interference_mean", "interference_result"}
RECIPES: list[dict[str, Any]] = [
    {"method": "average"},
    {"method": "ties"},
    {"method": "task_arithmetic", "scale": 0.3},
    {"method": "dare", "rest": "base"},
    {"method": "wudi", "iterations": 20, "scale": 0.5},
    {"method": "swudi"},
]


def by_definition(deltas: list[Tensor], merged: Tensor) -> float:
    """L(τ) = Σᵢ ‖(τ − τᵢ)τᵢᵀ‖² / ‖τᵢ‖², as the paper writes it."""
    pairs = [(merged.double(), delta.double()) for delta in deltas]
    return sum(float(((tau - delta) @ delta.T).square().sum() / delta.square().sum()) for tau, delta in pairs)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: str(recipe["method"]))
def test_interference_is_that_of_its_definition(recipe: dict[str, Any], trio: Trio, tmp_path: Path) -> None:
    report = run(*trio, tmp_path / "out", recipe, measure=True)
    layers = json.loads((report.out / "merge.json").read_text())["layers"]
    base, merged = all_tensors(trio[0]), all_tensors(report.out)
    assert set(layers) == {name for name in base if "proj" in name}
    for name, measured in layers.items():
        deltas = task_vectors(trio)[name]
        stacked = torch.stack(deltas)
        points = {"sum": stacked.sum(dim=0), "mean": stacked.mean(dim=0), "result": merged[name] - base[name]}
        assert measured.keys() >= MEASURED
        for point, tau in points.items():
            assert measured[f"interference_{point}"] == pytest.approx(by_definition(deltas, tau), rel=1e-4), name


def test_the_average_is_the_mean_and_task_arithmetic_of_one_the_sum(trio: Trio, tmp_path: Path) -> None:
    for recipe, point in (({"method": "average"}, "mean"), ({"method": "task_arithmetic", "scale": 1.0}, "sum")):
        layers = run(*trio, tmp_path / point, recipe, measure=True).record["layers"]
        for measured in layers.values():
            assert measured["interference_result"] == pytest.approx(measured[f"interference_{point}"], rel=1e-5)


def test_measuring_changes_no_weight_and_is_not_done_unasked(trio: Trio, tmp_path: Path) -> None:
    plain = run(*trio, tmp_path / "plain", {"method": "ties"})
    measured = run(*trio, tmp_path / "measured", {"method": "ties"}, measure=True)
    assert plain.record["layers"] == {}
    assert plain.record["outputs"] == measured.record["outputs"]


def test_the_result_is_measured_as_it_is_added_to_the_base(trio: Trio, tmp_path: Path) -> None:
    layers = run(*trio, tmp_path / "out", {"method": "swudi", "scale": 0.5}).record["layers"]
    deltas = task_vectors(trio)
    assert layers
    for name, measured in layers.items():
        form = interference(deltas[name])
        merged = Recipe.parse({"method": "swudi"}).merge(Layer(deltas=deltas[name])).delta
        assert form is not None
        assert measured["interference_result"] == pytest.approx(form.loss(0.5 * merged), rel=1e-3)


def test_tensors_that_the_method_does_not_merge_are_not_measured(trio: Trio, tmp_path: Path) -> None:
    recipe = {"method": "average", "exclude": ["*.mlp.*"], "rest": "base"}
    layers = run(*trio, tmp_path / "out", recipe, measure=True).record["layers"]
    assert set(layers) == {name for name in all_tensors(trio[0]) if "self_attn" in name}


def keys(content: Any) -> Iterator[str]:
    """Every key of a JSON document."""
    for value in content if isinstance(content, list) else []:
        yield from keys(value)
    for key, value in content.items() if isinstance(content, dict) else []:
        yield key
        yield from keys(value)


@pytest.mark.parametrize("recipe", [{"method": "ties"}, {"method": "dare_ties"}, {"method": "wudi", "iterations": 20}])
def test_two_merges_give_the_same_bytes_and_no_seconds(recipe: dict[str, Any], trio: Trio, tmp_path: Path) -> None:
    first, second = (run(*trio, tmp_path / name, recipe, measure=True) for name in ("first", "second"))
    assert contents(first.out) == contents(second.out)
    assert first.seconds > 0
    assert first.tensor_seconds.keys() == all_tensors(first.out).keys()
    record = json.loads((first.out / "merge.json").read_text())
    assert not any("second" in key or "time" in key for key in keys(record))


@pytest.mark.parametrize("count", [0, 5, 8, 11])
def test_a_run_goes_on_with_what_it_had_measured(count: int, trio: Trio, tmp_path: Path) -> None:
    recipe = {"method": "task_arithmetic", "scale": 0.3}
    whole = run(*trio, tmp_path / "whole", recipe, measure=True)
    interrupted(trio, tmp_path / "out", recipe, count, measure=True)
    resumed = run(*trio, tmp_path / "out", recipe, measure=True)
    assert contents(resumed.out) == contents(whole.out)
    assert resumed.tensor_seconds.keys() == whole.tensor_seconds.keys()


def test_shards_of_a_run_that_did_not_measure_are_not_taken_over(trio: Trio, tmp_path: Path) -> None:
    interrupted(trio, tmp_path / "out", {"method": "average"}, 9)
    resumed = run(*trio, tmp_path / "out", {"method": "average"}, measure=True)
    whole = run(*trio, tmp_path / "whole", {"method": "average"}, measure=True)
    assert contents(resumed.out) == contents(whole.out)


def test_the_command_measures_too(trio: Trio, tmp_path: Path) -> None:
    run_command(*trio, tmp_path / "command", "--method=average", "--measure")
    run(*trio, tmp_path / "python", {"method": "average"}, measure=True)
    assert contents(tmp_path / "command") == contents(tmp_path / "python")


def test_a_total_does_not_depend_on_how_many_threads_add_it_up():
    matrix = torch.randn(500, 300, generator=torch.Generator().manual_seed(0))
    before = torch.get_num_threads()
    try:
        found = set()
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.add(total(matrix))
    finally:
        torch.set_num_threads(before)
    assert len(found) == 1
    assert found.pop() == pytest.approx(math.fsum(matrix.double().flatten().tolist()), abs=1e-9)
