"""Methods equal the outputs of the published programs, within the tolerance stated for each."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from wudi import Layer, Recipe
from wudi.cli import main
from wudi.methods.method import itself

SETS = [("three_experts", 3), ("four_experts", 4)]
CASES: list[tuple[str, dict[str, Any], float]] = [
    ("wudi", {"method": "wudi", "learning_rate": 1e-5}, 1e-4),
    ("optmerge_adam", {"method": "optmerge", "learning_rate": 1e-5}, 1e-3),
    ("optmerge_sgd", {"method": "optmerge", "optimizer": "sgd"}, 1e-3),
    ("swudi_r0.65", {"method": "swudi", "ratio": 0.65}, 1e-3),
    ("swudi_r0.85", {"method": "swudi", "ratio": 0.85}, 1e-3),
    ("swudi_soft_t300", {"method": "swudi", "ratio": 1.0}, 1e-3),
    ("swudi_soft_t300", {"method": "wudi_flow"}, 1e-3),
    ("swudi_soft_t300", {"method": "wudi_flow", "products": "doubling"}, 1e-3),
    ("swudi_soft_t300", {"method": "wudi_flow", "products": "chebyshev"}, 1e-3),
    ("swudi_a_participation_sqrt", {"method": "swudi_a"}, 1e-3),
    ("swudi_a_gavish_donoho", {"method": "swudi_a", "rule": "gavish_donoho"}, 1e-3),
    ("tikhonov_a0.01", {"method": "tikhonov"}, 1e-3),
    ("landweber_n150", {"method": "landweber"}, 1e-3),
    ("actmat", {"method": "actmat"}, 1e-3),
    ("tact_k0.5", {"method": "tact"}, 1e-3),
    ("ace", {"method": "ace"}, 1e-3),
    ("tsv_m", {"method": "tsv_m"}, 1e-3),
    ("iso_c", {"method": "iso_c"}, 1e-3),
    ("iso_cts_f0.8", {"method": "iso_cts"}, 1e-3),
    ("ties_k20", {"method": "ties"}, 1e-5),
    ("consensus_ta_l0.4_k2_sum", {"method": "consensus", "scale": 1.0}, 1e-5),
    ("pcb_r0.1_l1", {"method": "pcb"}, 1e-4),
]
IDS = ["-".join([file, *map(str, list(values.values())[1:])]) for file, values, _ in CASES]
FROM_SUM = ("wudi", "optmerge_adam")
"""Files whose tolerance is of the update that the method makes to Στᵢ."""


def load(reference: Path, name: str, count: int) -> tuple[dict[str, torch.Tensor], list[dict[str, torch.Tensor]]]:
    folder = reference / name
    return load_file(folder / "base.safetensors"), [
        load_file(folder / f"expert_{number + 1}.safetensors") for number in range(count)
    ]


def test_every_reference_is_compared(reference: Path) -> None:
    for folder, _ in SETS:
        files = {file.stem for file in (reference / folder).glob("*.safetensors")}
        methods = {name for name in files if name != "base" and not name.startswith("expert_")}
        assert methods == {file for file, _, _ in CASES}


@pytest.mark.parametrize(("folder", "count"), SETS)
@pytest.mark.parametrize(("file", "values", "tolerance"), CASES, ids=IDS)
def test_public_function(
    reference: Path, folder: str, count: int, file: str, values: dict[str, Any], tolerance: float
) -> None:
    base, experts = load(reference, folder, count)
    recipe = Recipe.parse(values)

    def layer(name: str, survey: Any = None) -> Layer:
        return Layer(deltas=[expert[name] - base[name] for expert in experts], name=name, survey=survey)

    def walk(work: Callable[[Layer], Any] = itself, *, sampled: bool = False) -> Iterable[Any]:  # noqa: ARG001
        return (work(layer(name)) for name in base)

    wants = recipe.method.survey is not None and recipe.method.survey_of(recipe.settings) == "model"
    survey = recipe.method.survey(walk, recipe.settings) if wants else None
    expected = load_file(reference / folder / f"{file}.safetensors")
    assert len(expected) >= 7
    for name, delta in expected.items():
        merged = recipe.merge(layer(name, survey)).delta
        start = layer(name).sum() if file in FROM_SUM else torch.zeros_like(delta)
        error = (merged - delta).norm() / (delta - start).norm()
        assert error < tolerance, f"{name}: {error:.1e}"


@pytest.mark.parametrize(("folder", "count"), SETS)
@pytest.mark.parametrize(("file", "values", "tolerance"), CASES, ids=IDS)
def test_command_line(
    reference: Path, tmp_path: Path, folder: str, count: int, file: str, values: dict[str, Any], tolerance: float
) -> None:
    source, out = reference / folder, tmp_path / "out"
    experts = [str(source / f"expert_{number + 1}.safetensors") for number in range(count)]
    settings = [f"--set={key}={value}" for key, value in values.items() if key != "method"]
    main(["merge", str(source / "base.safetensors"), *experts, "--method", values["method"], *settings, f"--out={out}"])
    base, merged = load_file(source / "base.safetensors"), load_file(out / "model.safetensors")
    for name, delta in load_file(source / f"{file}.safetensors").items():
        error = (merged[name] - base[name] - delta).norm() / delta.norm()
        # The sum with the base is rounded to float32, which costs digits of the small task vector.
        assert error < tolerance + 1e-5, f"{name}: {error:.1e}"
