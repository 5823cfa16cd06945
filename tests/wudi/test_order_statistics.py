"""Ranks over a whole model: those of the flattened model, exactly, and mostly in one pass."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
import torch

from wudi.methods import Layer
from wudi.methods.method import itself
from wudi.methods.order_statistics import Interval, as_float, as_key, order_statistics

Experts = list[list[torch.Tensor]]


class Model:
    """A walk over the experts' tensors that counts its passes; every `every`-th tensor is in its sample."""

    def __init__(self, experts: Experts, every: int = 1) -> None:
        self.experts, self.every, self.passes = experts, every, 0

    def __call__(self, work: Callable[[Layer], Any] = itself, *, sampled: bool = False) -> Iterable[Any]:
        self.passes += not sampled
        for number, deltas in enumerate(zip(*self.experts, strict=True)):
            if not sampled or number % self.every == 0:
                yield work(Layer(deltas=deltas))


def uneven(signed: bool) -> Experts:
    """Two experts of three tensors, with zeros of both signs and magnitudes far apart."""
    generator = torch.Generator().manual_seed(0)
    experts = [
        [
            torch.randn(31, 7, generator=generator),
            torch.tensor([0.0, -0.0, 1.0, -1.0, 1.0]),
            1e-30 * torch.randn(400, generator=generator),
        ]
        for _ in range(2)
    ]
    return experts if signed else [[tensor.abs() for tensor in expert] for expert in experts]


def expected(experts: Experts, ranks: Sequence[int]) -> list[list[float]]:
    flat = [torch.cat([tensor.flatten() for tensor in expert]).sort().values for expert in experts]
    return [[float(one[rank - 1]) for rank in ranks] for one in flat]


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("signed", [False, True])
def test_the_entries_of_the_flattened_model(signed: bool, every: int) -> None:
    experts = uneven(signed)
    wanted = [1, 2, 17, 300, 622]
    found = order_statistics(
        Model(experts, every), lambda layer: layer.dense, lambda count: wanted if count == 622 else [1, 1, 1, 1, count]
    )
    assert found == expected(experts, wanted)


def test_one_pass_is_enough_where_the_sample_is_like_the_rest() -> None:
    generator = torch.Generator().manual_seed(3)
    experts = [[torch.randn(5000, generator=generator).abs() for _ in range(40)] for _ in range(3)]
    model = Model(experts, every=16)
    ranks = [40_000, 160_000, 195_000]
    shares = lambda count: [rank * count // 200_000 for rank in ranks]  # noqa: E731
    found = order_statistics(model, lambda layer: layer.dense, shares)
    assert found == expected(experts, ranks)
    assert model.passes == 1


def test_a_sample_that_misleads_costs_passes_and_no_exactness() -> None:
    experts = [[torch.full((100,), 1000.0), *(torch.rand(5000) for _ in range(9))]]
    model = Model(experts, every=10)  # sees the first tensor alone
    assert order_statistics(model, lambda layer: layer.dense, lambda count: [count // 2]) == expected(experts, [22_550])
    assert model.passes > 1


def test_keys_order_as_floats_do() -> None:
    values = [-float("inf"), -3.5, -1e-40, 0.0, 1e-40, 1e-38, 1.0, 3.5, float("inf")]
    assert [as_key(value) for value in values] == sorted(as_key(value) for value in values)
    assert [as_float(as_key(value)) for value in values] == pytest.approx(values)
    assert as_key(-0.0) == as_key(0.0)


def test_bins_cover_any_interval() -> None:
    for low, high in [(0, 0), (5, 5 + (1 << 21) - 1), (0, 1 << 21), (-(1 << 31), (1 << 31) - 1)]:
        assert 1 + ((high - low) >> Interval(low, high).shift) <= 1 << 21
