"""Ranks of magnitudes within a tensor."""

from typing import Literal

import pytest
import torch

from wudi.methods.magnitude import rank_of_threshold, smallest, threshold


@pytest.mark.parametrize("density", [0.001, 0.2, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("scope", ["tensor", "row"])
def test_threshold_is_that_of_kthvalue(density: float, scope: Literal["tensor", "row"]) -> None:
    tensor = torch.randn(31, 70, generator=torch.Generator().manual_seed(1))
    magnitudes = tensor.abs() if scope == "row" else tensor.abs().flatten()
    rank = rank_of_threshold(magnitudes.shape[-1], density)
    expected = magnitudes.kthvalue(rank, dim=-1, keepdim=scope == "row").values
    assert torch.equal(threshold(tensor, density, scope), expected)


def test_equal_magnitudes_are_kept_together() -> None:
    tensor = torch.tensor([1.0, -1.0, 1.0, 0.0])
    assert threshold(tensor, 0.25, "tensor") == 1.0
    assert threshold(tensor, 1.0, "tensor") == 0.0


@pytest.mark.parametrize("density", [0.0, 1e-6, 0.2, 0.7, 1.0])
@pytest.mark.parametrize("kind", ["random", "sorted", "equal", "hidden from the sample"])
def test_a_long_vector_is_searched_exactly(density: float, kind: str) -> None:
    values = torch.rand((1 << 20) + 77, generator=torch.Generator().manual_seed(2))
    if kind == "sorted":
        values = values.sort().values
    elif kind == "equal":
        values = values.round()
    elif kind == "hidden from the sample":  # which takes every 16th entry
        values[::16] = 2.0
    rank = rank_of_threshold(len(values), density)
    assert smallest(values, rank) == values.sort().values[rank - 1]


def test_nothing_has_a_threshold_of_zero() -> None:
    assert smallest(torch.zeros(0), 1).tolist() == [0.0]
    assert threshold(torch.zeros(3, 0), 0.5, "tensor") == 0.0
