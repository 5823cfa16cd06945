"""A task vector kept as factors gives what the same one gives as a whole, and without work of out × in × in."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from wudi import METHODS, Layer, Recipe
from wudi.low_rank import LowRank, TaskVector, dense, squared_norm, weighted_sum
from wudi.methods.interference import interference
from wudi.methods.quadratic import Factors, Moments

SHAPE = (48, 64)
ON_FACTORS = ["average", "task_arithmetic", "model_stock", "tsv_m", "iso_c", "iso_cts", "actmat"]
ON_FACTORS += ["wudi", "optmerge", "wudi_flow", "swudi", "swudi_a", "tikhonov", "landweber", "pinv"]


def factors(count: int, rank: int = 3, shape: tuple[int, int] = SHAPE, seed: int = 0) -> list[LowRank]:
    generator = torch.Generator().manual_seed(seed)
    out, width = shape
    return [
        LowRank(torch.randn(out, rank, generator=generator) * 0.05, torch.randn(rank, width, generator=generator) * 0.1)
        for _ in range(count)
    ]


def merged(method: str, deltas: list[Any], **settings: object) -> Tensor:
    recipe = Recipe.parse({"method": method, **settings})
    return recipe.merge(Layer(deltas=deltas, experts=[str(index) for index in range(len(deltas))])).delta


def cast(delta: TaskVector, dtype: torch.dtype) -> TaskVector:
    return LowRank(delta.left.to(dtype), delta.right.to(dtype)) if isinstance(delta, LowRank) else delta.to(dtype)


def mixed(with_dense: bool, shape: tuple[int, int]) -> list[TaskVector]:
    thin: list[TaskVector] = [*factors(3, shape=shape), LowRank.zero(shape, like=torch.zeros(1))]
    if with_dense:
        thin[1] = torch.randn(shape, generator=torch.Generator().manual_seed(9)) * 0.02
    return thin


NOISY = {
    "wudi": "Adam turns rounding, where the gradient is all but nothing, into steps of its learning rate",
    "optmerge": "as wudi",
    "wudi_flow": "directions that no expert has keep rounding errors of the residual, times t",
}


@pytest.mark.parametrize("method", [name for name in METHODS if name != "slerp"])
@pytest.mark.parametrize("with_dense", [False, True], ids=["factors", "mixed"])
@pytest.mark.parametrize("shape", [SHAPE, (64, 48), (200, 24), (24, 200)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_to_the_dense_result(method: str, with_dense: bool, shape: tuple[int, int], dtype: torch.dtype) -> None:
    deltas = [cast(delta, dtype) for delta in mixed(with_dense, shape)]
    expected = merged(method, [dense(delta) for delta in deltas])
    error = float((merged(method, deltas) - expected).norm())
    tolerance = 1e-4 if method in NOISY and dtype == torch.float32 else 1e-5
    assert error <= tolerance * float(expected.norm())


@pytest.mark.parametrize("settings", [{"optimizer": "sgd"}, {"learning_rate": 1e-4}])
def test_both_variants_of_optmerge(settings: dict[str, Any]) -> None:
    deltas = [cast(delta, torch.float64) for delta in factors(3)]
    expected = merged("optmerge", [dense(delta) for delta in deltas], **settings)
    assert (merged("optmerge", deltas, **settings) - expected).norm() <= 1e-5 * expected.norm()


@pytest.mark.parametrize("rule", ["participation_sqrt", "gavish_donoho", "stable_rank", "entropy"])
def test_every_rule_finds_the_same_rank(rule: str) -> None:
    deltas = factors(3)
    recipe = Recipe.parse({"method": "swudi_a", "rule": rule})
    ranks = [
        recipe.merge(Layer(deltas=given)).measured["rank"] for given in (deltas, [delta.dense() for delta in deltas])
    ]
    assert ranks[0] == ranks[1] <= 9


@pytest.mark.parametrize("method", ON_FACTORS)
def test_no_work_of_out_times_in_times_in(method: str) -> None:
    shape = (256, 320)
    out, width = shape
    deltas = factors(2, rank=2, shape=shape)
    steps = {"iterations": 4} if method in ("wudi", "optmerge") else {}
    with FlopCounterMode(display=False) as counter:
        merged(method, deltas, **steps)
    # One product of out × in × in would be 2 · out · in · in.
    assert counter.get_total_flops() < 0.5 * 2 * out * width * width


def test_the_interference_is_the_same_in_both_forms() -> None:
    thin = factors(3)
    whole = [delta.dense() for delta in thin]
    by_factors, by_moments = interference(thin), interference(whole)
    assert isinstance(by_factors, Factors)
    assert isinstance(by_moments, Moments)
    point = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1)) * 0.05
    torch.testing.assert_close(by_factors.gradient()(point), by_moments.gradient()(point), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(by_factors.curvature()(point), by_moments.curvature()(point), rtol=1e-3, atol=1e-6)
    assert by_factors.loss(point) == pytest.approx(by_moments.loss(point), rel=1e-4)


def test_factors_as_matrices() -> None:
    (delta,) = factors(1)
    assert delta.shape == SHAPE
    assert delta.T.shape == SHAPE[::-1]
    torch.testing.assert_close(delta.T.dense(), delta.dense().T)
    assert squared_norm(delta) == pytest.approx(float(delta.dense().square().sum()), rel=1e-5)
    nothing = LowRank.zero(SHAPE, like=delta.left)
    assert not nothing.any()
    assert torch.equal(nothing.dense(), torch.zeros(SHAPE))
    whole = torch.ones(SHAPE)
    torch.testing.assert_close(weighted_sum([delta, whole, nothing], [2.0, -1.0, 3.0]), 2.0 * delta.dense() - whole)
