"""The threshold over a whole model is that of the flattened model, exactly."""

import pytest
import torch

from wudi.methods.magnitude import magnitude_threshold, model_thresholds


@pytest.mark.parametrize("density", [0.001, 0.2, 0.5, 0.999, 1.0])
def test_two_passes_find_the_entry_of_the_flattened_model(density: float) -> None:
    generator = torch.Generator().manual_seed(0)
    experts = [
        [torch.randn(31, 7, generator=generator), torch.zeros(5), 1e-30 * torch.randn(400, generator=generator)]
        for _ in range(2)
    ]
    flat = [torch.cat([tensor.flatten() for tensor in expert]).abs() for expert in experts]
    expected = [float(one.kthvalue(max(len(one) - int(len(one) * density), 1)).values) for one in flat]
    assert model_thresholds(lambda: zip(*experts, strict=True), density) == expected


def test_equal_magnitudes() -> None:
    tensor = torch.tensor([1.0, -1.0, 1.0, 0.0])
    assert magnitude_threshold(tensor, 0.25) == 1.0
    assert model_thresholds(lambda: [[tensor]], 0.25) == [1.0]
    assert model_thresholds(lambda: [[tensor]], 1.0) == [0.0]
