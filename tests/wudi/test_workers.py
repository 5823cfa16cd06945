"""Tensors merged side by side and slice by slice: the same bytes for any number of workers and any size of slice."""

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.wudi.children import child
from tests.wudi.merges import Trio, contents, run
from tests.wudi.odd_models import EMPTY, SHAPES, odd_trio
from wudi import Recipe, WudiError
from wudi.checkpoint import Checkpoint
from wudi.experts import open_experts
from wudi.inputs import Inputs
from wudi.methods import draws, method
from wudi.tensor_merge import SLICE, TensorMerge
from wudi.workers import Workers

CPU = torch.device("cpu")
BY_ENTRY: list[dict[str, Any]] = [
    {"method": "average", "weights": {"2": 0.5}},
    {"method": "task_arithmetic", "scale": 0.3},
    {"method": "ties", "rest": "method"},
    {"method": "ties", "trim": "tensor", "rest": "sum"},
    {"method": "pcb"},
    {"method": "dare"},
    {"method": "dare_ties", "rest": "method"},
    {"method": "dare_ties", "trim": "tensor"},
]
RECIPES: list[dict[str, Any]] = [
    *BY_ENTRY,
    {"method": "ties", "trim": "row"},
    {"method": "wudi", "iterations": 3},
    {"method": "swudi", "rest": "base"},
]


def in_pieces(patch: pytest.MonkeyPatch, piece: int, of_slice: int) -> None:
    patch.setattr("wudi.tensor_merge.PIECE", piece)
    patch.setitem(SLICE, "cpu", of_slice)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random numbers in blocks that are smaller than these tensors."""
    for module in (draws, method):
        monkeypatch.setattr(module, "BLOCK", 8)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_the_number_of_workers_changes_no_byte(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trio = odd_trio(tmp_path / "models")
    in_pieces(monkeypatch, 200, 60)
    for measure in (False, True):
        found = [
            contents(run(*trio, tmp_path / f"{measure}{workers}", recipe, workers=workers, measure=measure).out)
            for workers in (1, 2, 3, 5)
        ]
        assert all(first == second for first, second in pairwise(found))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("recipe", BY_ENTRY, ids=str)
def test_the_size_of_slices_changes_no_byte(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trio = odd_trio(tmp_path / "models")
    whole = contents(run(*trio, tmp_path / "whole", recipe).out)
    for piece, of_slice in [(64, 16), (500, 37)]:
        with monkeypatch.context() as patch:
            in_pieces(patch, piece, of_slice)
            out = run(*trio, tmp_path / f"{piece}", recipe, dtype="auto").out
        assert contents(out) == whole


@pytest.mark.parametrize("recipe", [entry for entry in BY_ENTRY if "dare" not in entry["method"]], ids=str)
def test_slices_give_what_whole_tensors_give(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The methods that draw are left out: they draw in the order of the file, or of the matrix."""
    base, experts = odd_trio(tmp_path / "models")
    in_pieces(monkeypatch, 37, 17)
    merged = load_file(run(base, experts, tmp_path / "out", recipe).out / "model.safetensors")
    inputs = Inputs(Checkpoint(base), open_experts(experts))
    tensors = TensorMerge(inputs, Recipe.parse(recipe), measures=False)

    def walk(work: Callable[[Any], Any] = lambda layer: layer, *, sampled: bool = False) -> Iterator[Any]:  # noqa: ARG001
        names = sorted(tensors.selection.tensors)
        return (work(layer) for name in names for layer in inputs.layers(name, CPU))

    over_model = tensors.recipe.method.survey is not None and not tensors.surveys_tensors
    survey = tensors.recipe.method.survey(walk, tensors.recipe.settings) if over_model else None
    for name in SHAPES:
        if name != EMPTY:
            whole = tensors.merged_whole(name, survey, merged[name].dtype, CPU)
            torch.testing.assert_close(merged[name].reshape(-1), whole.entries, rtol=1e-6, atol=1e-7, msg=name)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_an_error_of_a_worker_is_told_and_no_thread_stays(workers: int, tmp_path: Path) -> None:
    base, experts = odd_trio(tmp_path / "models")
    tensors = load_file(experts[1])
    tensors["layers.0.up.weight"][3, 4] = float("inf")
    save_file(tensors, experts[1])
    before = threading.active_count()
    for recipe in ({"method": "average"}, {"method": "ties"}, {"method": "wudi", "iterations": 3}):
        with pytest.raises(WudiError, match=re.escape(f"expert 2 ({experts[1]}): tensor layers.0.up.weight holds")):
            run(base, experts, tmp_path / "out", recipe, workers=workers)
        assert threading.active_count() == before
    assert not (tmp_path / "out").exists()


ENDLESS = {"method": "wudi", "iterations": 100_000_000}


def refused(trio: Trio, out: Path) -> None:
    """A merge of which one tensor is refused while others take days."""
    with pytest.raises(WudiError, match="holds NaN or infinity"):
        run(*trio, out, ENDLESS, workers=3)


def test_an_error_does_not_wait_for_other_tensors(tmp_path: Path) -> None:
    base, experts = odd_trio(tmp_path / "models")
    tensors = load_file(experts[1])
    tensors[min(SHAPES)][3] = float("nan")
    save_file(tensors, experts[1])
    process = child(refused, (base, experts), tmp_path / "out")
    process.join(60)
    assert process.exitcode == 0


def test_ctrl_c_ends_a_long_merge(tmp_path: Path) -> None:
    base, experts = odd_trio(tmp_path / "models")
    command = ["merge", base, *experts, "--method=wudi", "--set=iterations=100000000", "--out", tmp_path / "out"]
    process = subprocess.Popen(
        [sys.executable, "-m", "wudi", *map(str, command), "--device=cpu"], stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not list(tmp_path.glob("out.partial/model*.tmp")):
        threading.Event().wait(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told == "interrupted: run the same command again to go on where it stopped\n"
    assert not (tmp_path / "out").exists()


def test_workers_answer_in_order_and_leave_no_thread() -> None:
    def work(number: int, _: torch.device) -> int:
        if number == 40:
            raise ValueError("forty")
        return number

    before = threading.active_count()
    found: list[int] = []
    with pytest.raises(ValueError, match="forty"), Workers[int]([CPU] * 4, 1) as workers:
        found.extend(workers.map(work, range(100)))
    assert found == [*range(len(found))]
    with Workers[int]([CPU] * 4, 1) as workers:
        assert [number for number, _ in zip(workers.map(work, range(100)), range(20), strict=False)] == [*range(20)]
        assert list(workers.map(work, range(50, 90))) == [*range(50, 90)]
    assert threading.active_count() == before
