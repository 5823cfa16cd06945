"""Methods equal the outputs of the published programs, within the tolerance stated for each."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from wudi import Layer, Recipe
from wudi.cli import main
from wudi.methods.magnitude import model_thresholds

SETS = [("three_experts", 3), ("four_experts", 4)]
CASES: list[tuple[str, dict[str, Any], float]] = [
    ("wudi", {"method": "wudi", "learning_rate": 1e-5}, 1e-4),
    ("swudi_r0.65", {"method": "swudi", "ratio": 0.65}, 1e-3),
    ("swudi_r0.85", {"method": "swudi", "ratio": 0.85}, 1e-3),
    ("swudi_soft_t300", {"method": "swudi", "ratio": 1.0}, 1e-3),
    ("ties_k20", {"method": "ties", "density": 0.2}, 1e-5),
]


def load(reference: Path, name: str, count: int) -> tuple[dict[str, torch.Tensor], list[dict[str, torch.Tensor]]]:
    folder = reference / name
    return load_file(folder / "base.safetensors"), [
        load_file(folder / f"expert_{number + 1}.safetensors") for number in range(count)
    ]


@pytest.mark.parametrize(("folder", "count"), SETS)
@pytest.mark.parametrize(("file", "values", "tolerance"), CASES, ids=[case[0] for case in CASES])
def test_public_function(
    reference: Path, folder: str, count: int, file: str, values: dict[str, Any], tolerance: float
) -> None:
    base, experts = load(reference, folder, count)
    recipe = Recipe.parse(values)

    def deltas(name: str) -> list[torch.Tensor]:
        return [expert[name] - base[name] for expert in experts]

    density = recipe.method.survey(recipe.settings)
    thresholds = model_thresholds(lambda: map(deltas, base), density) if density else None
    expected = load_file(reference / folder / f"{file}.safetensors")
    assert len(expected) >= 7
    for name, delta in expected.items():
        merged = recipe.merge(Layer(deltas=deltas(name), name=name, thresholds=thresholds)).delta
        start = sum(deltas(name)) if file == "wudi" else torch.zeros_like(delta)
        error = (merged - delta).norm() / (delta - start).norm()
        assert error < tolerance, f"{name}: {error:.1e}"


@pytest.mark.parametrize(("folder", "count"), SETS)
@pytest.mark.parametrize(("file", "values", "tolerance"), CASES, ids=[case[0] for case in CASES])
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
