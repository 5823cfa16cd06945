"""What must hold of every method, in float64, whatever its formula."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from wudi import METHODS, Layer, Recipe
from wudi.methods.interference import Interference

DETERMINISTIC = [name for name in METHODS if name != "dare_ties"]


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def deltas(count: int, shape: tuple[int, ...] = (6, 10), seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) * 1e-2 for _ in range(count)]


def merge(method: str, task_vectors: list[Tensor], **settings: object) -> Tensor:
    recipe = Recipe.parse({"method": method, **settings})
    names = [f"expert{int(delta.abs().sum() * 1e9)}" for delta in task_vectors]
    return recipe.merge(Layer(deltas=task_vectors, experts=names)).delta


@pytest.mark.parametrize("method", METHODS)
def test_order_of_experts_does_not_matter(method: str) -> None:
    task_vectors = deltas(4)
    torch.testing.assert_close(merge(method, task_vectors), merge(method, task_vectors[::-1]), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", ["average", "task_arithmetic", "wudi", "swudi"])
def test_a_single_expert_comes_back(method: str) -> None:
    (alone,) = deltas(1)
    torch.testing.assert_close(merge(method, [alone]), alone, rtol=1e-6, atol=1e-8)


def test_a_single_expert_comes_back_from_ties_untrimmed() -> None:
    (alone,) = deltas(1)
    torch.testing.assert_close(merge("ties", [alone], density=1.0), alone)


@pytest.mark.parametrize("method", METHODS)
def test_zero_task_vectors_give_zero_and_no_nan(method: str) -> None:
    nothing = torch.zeros(6, 10)
    assert torch.equal(merge(method, [nothing, nothing]), nothing)


@pytest.mark.parametrize("method", ["task_arithmetic", "wudi", "swudi"])
def test_a_zero_task_vector_adds_nothing(method: str) -> None:
    task_vectors = deltas(3)
    with_zero = merge(method, [*task_vectors, torch.zeros(6, 10)])
    torch.testing.assert_close(with_zero, merge(method, task_vectors), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [1e-3, 7.0])
def test_scaling_the_task_vectors_scales_the_result(method: str, factor: float) -> None:
    # wudi too, because its default learning rate is relative to the size of the task vectors.
    task_vectors = deltas(3)
    names = ["a", "b", "c"]
    recipe = Recipe.parse({"method": method})
    small = recipe.merge(Layer(deltas=task_vectors, experts=names)).delta
    large = recipe.merge(Layer(deltas=[factor * delta for delta in task_vectors], experts=names)).delta
    assert (large - factor * small).norm() <= 1e-8 * large.norm()


def test_a_fixed_learning_rate_does_not_scale() -> None:
    task_vectors = deltas(3)
    small = merge("wudi", task_vectors, learning_rate=1e-5)
    large = merge("wudi", [1000 * delta for delta in task_vectors], learning_rate=1e-5)
    assert (large - 1000 * small).norm() > 1e-2 * large.norm()


@pytest.mark.parametrize("method", ["wudi", "swudi"])
def test_experts_with_orthogonal_inputs_keep_their_sum(method: str) -> None:
    first, second = torch.zeros(6, 10), torch.zeros(6, 10)
    first[:, :5], second[:, 5:] = deltas(1, (6, 5))[0], deltas(1, (6, 5), seed=1)[0]
    torch.testing.assert_close(merge(method, [first, second]), first + second, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (1, 1)])
def test_thin_layers(method: str, shape: tuple[int, int]) -> None:
    merged = merge(method, deltas(3, shape))
    assert merged.shape == shape
    assert torch.isfinite(merged).all()


@pytest.mark.parametrize("method", METHODS)
def test_rank_deficient_layers(method: str) -> None:
    generator = torch.Generator().manual_seed(3)
    thin = [torch.randn(6, 1, generator=generator) @ torch.randn(1, 10, generator=generator) for _ in range(3)]
    assert torch.isfinite(merge(method, thin)).all()


def test_equal_experts_average_to_themselves() -> None:
    (one,) = deltas(1)
    for method, settings in [("average", {}), ("ties", {"density": 1.0})]:
        torch.testing.assert_close(merge(method, [one, one, one], **settings), one)


def test_ties_without_trimming_and_with_agreeing_signs_is_the_average() -> None:
    positive = [delta.abs() for delta in deltas(3)]
    torch.testing.assert_close(merge("ties", positive, density=1.0), merge("average", positive))


def test_ties_by_hand() -> None:
    first = torch.tensor([3.0, -2.0, 0.1, 4.0])
    second = torch.tensor([1.0, 5.0, 0.2, -4.0])
    # Kept of four at density 0.75: ranks 1..4 from the top, threshold at the second smallest.
    # Signs elected: +, +, none kept of the first, and an exact tie that adds nothing.
    expected = torch.tensor([2.0, 5.0, 0.0, 0.0])
    torch.testing.assert_close(merge("ties", [first, second], density=0.5), expected)
    torch.testing.assert_close(
        merge("ties", [first, second], density=0.5, merge="sum"), expected * torch.tensor([2.0, 1, 1, 1])
    )


def test_dare_without_dropping_is_ties() -> None:
    task_vectors = deltas(3)
    torch.testing.assert_close(merge("dare_ties", task_vectors, drop_rate=0.0), merge("ties", task_vectors))


def test_dare_keeps_the_expectation_and_follows_its_seed() -> None:
    layer = Layer(deltas=[torch.ones(400, 400)], experts=["a"], name="w")
    recipe = {"method": "dare_ties", "drop_rate": 0.8, "density": 1.0}
    merged = Recipe.parse(recipe).merge(layer).delta
    kept = merged != 0
    assert abs(float(kept.double().mean()) - 0.2) < 0.005
    torch.testing.assert_close(merged[kept], torch.full_like(merged[kept], 5.0))
    assert torch.equal(merged, Recipe.parse(recipe).merge(layer).delta)
    assert not torch.equal(merged, Recipe.parse({**recipe, "seed": 1}).merge(layer).delta)


def test_swudi_with_all_directions_and_endless_time_is_the_minimiser() -> None:
    task_vectors = deltas(3, (12, 8))
    merged = merge("swudi", task_vectors, ratio=1.0, time=1e9)
    interference = Interference.of(task_vectors)
    covariance, target = interference.moments()
    torch.testing.assert_close(merged, torch.linalg.solve(covariance, target.T).T, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("method", ["wudi", "swudi"])
def test_interference_falls_and_is_reported(method: str) -> None:
    task_vectors = deltas(4, (12, 8))
    recipe = Recipe.parse({"method": method})
    update = recipe.merge(Layer(deltas=task_vectors))
    interference = Interference.of(task_vectors)
    assert update.measured["loss_after"] < update.measured["loss_before"]
    assert update.measured["loss_before"] == pytest.approx(interference.loss(torch.stack(task_vectors).sum(dim=0)))
    assert update.measured["loss_after"] == pytest.approx(interference.loss(update.delta))


@pytest.mark.parametrize("shape", [(20, 6), (2, 40)], ids=["by moments", "by experts"])
def test_the_gradient_is_that_of_the_published_loss(shape: tuple[int, int]) -> None:
    task_vectors = deltas(3, shape)
    merged = torch.stack(task_vectors).sum(dim=0).requires_grad_()
    loss = sum(((merged - delta) @ delta.T).square().sum() / delta.square().sum() for delta in task_vectors)
    assert isinstance(loss, Tensor)
    loss.backward()
    interference = Interference.of(task_vectors)
    assert merged.grad is not None
    torch.testing.assert_close(interference.gradient()(merged.detach()), merged.grad, rtol=1e-9, atol=1e-12)
    assert interference.loss(merged.detach()) == pytest.approx(float(loss.detach()))
