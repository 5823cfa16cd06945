"""What must hold of every method, in float64, whatever its formula."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from wudi import METHODS, Layer, Recipe, WudiError
from wudi.methods.interference import interference

SLERP = "slerp"  # takes two experts, all others any number
WUDI_FAMILY = ["wudi", "optmerge", "wudi_flow", "swudi", "swudi_a", "tikhonov", "landweber", "pinv"]

UNTRIMMED: dict[str, dict[str, Any]] = {
    "ties": {"density": 1.0},
    "dare": {"drop_rate": 0.0},
    "dare_ties": {"drop_rate": 0.0, "density": 1.0},
    "della": {"density": 1.0, "epsilon": 0.0},
    "breadcrumbs": {"density": 1.0, "gamma": 0.0},
}
"""Settings with which a sparse method keeps every entry."""


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def deltas(count: int, shape: tuple[int, ...] = (6, 10), seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) * 1e-2 for _ in range(count)]


def merge(method: str, task_vectors: list[Tensor], base: Tensor | None = None, **settings: object) -> Tensor:
    recipe = Recipe.parse({"method": method, **settings})
    names = [f"expert{int(delta.abs().sum() * 1e9)}" for delta in task_vectors]
    return recipe.merge(Layer(deltas=task_vectors, experts=names, base=base)).delta


def some(method: str, shape: tuple[int, ...] = (6, 10), count: int = 4) -> list[Tensor]:
    return deltas(2 if method == SLERP else count, shape)


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-8) -> None:
    assert (found - expected).norm() <= tolerance * expected.norm() + 1e-14


@pytest.mark.parametrize("method", METHODS)
def test_order_of_experts_does_not_matter(method: str) -> None:
    task_vectors = some(method)
    close(merge(method, task_vectors), merge(method, task_vectors[::-1]), 1e-7)


OTHERS_OF_ONE = {
    "slerp": "takes two experts",
    "iso_c": "flattens the spectrum of one expert too",
    "iso_cts": "flattens the spectrum of one expert too",
    "pcb": "keeps the top entries alone, however few experts compete",
    "tact": "projects on the span of the trimmed rows",
    "ace": "projects on the span of the centred rows",
}


@pytest.mark.parametrize("method", [name for name in METHODS if name not in OTHERS_OF_ONE])
def test_a_single_expert_comes_back(method: str) -> None:
    (alone,) = deltas(1)
    close(merge(method, [alone], **UNTRIMMED.get(method, {})), alone)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(6, 10), (10, 6), (7,)])
def test_zero_task_vectors_give_zero_and_no_nan(method: str, shape: tuple[int, ...]) -> None:
    if len(shape) == 1 and Recipe.parse({"method": method}).settings.rest != "method":
        pytest.skip("merges matrices alone")
    nothing = torch.zeros(shape)
    assert torch.equal(merge(method, [nothing, nothing]), nothing)


COUNTS_ALL = {
    "average": "the mean is over all experts",
    "karcher": "the mean length is over all experts",
    "tsv_m": "each expert keeps its share of the rank",
    "iso_cts": "each expert keeps its share of the rank",
    "optmerge": "the rank of the truncation is a share, and the start of sgd a mean",
    "pcb": "competition sharpens with the number of experts",
    "slerp": "takes two experts",
    "dare": "draws anew for each expert",
    "dare_ties": "draws anew for each expert",
    "della": "draws anew for each expert",
}


@pytest.mark.parametrize("method", [name for name in METHODS if name not in COUNTS_ALL])
def test_a_zero_task_vector_adds_nothing(method: str) -> None:
    task_vectors = deltas(3)
    close(merge(method, [*task_vectors, torch.zeros(6, 10)]), merge(method, task_vectors))


@pytest.mark.parametrize("method", COUNTS_ALL)
def test_a_zero_task_vector_gives_no_nan(method: str) -> None:
    task_vectors = [*deltas(1 if method == SLERP else 3), torch.zeros(6, 10)]
    assert torch.isfinite(merge(method, task_vectors)).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [1e-3, 7.0])
def test_scaling_the_task_vectors_scales_the_result(method: str, factor: float) -> None:
    # wudi and optmerge too, because their default learning rate is relative to the size of the task vectors.
    if method == "pcb":  # its quantiles are float32, so that other factors than powers of two move entries across them
        factor = 2.0 ** round(math.log2(factor))
    task_vectors = some(method)
    names = ["a", "b", "c", "d"][: len(task_vectors)]
    recipe = Recipe.parse({"method": method})
    small = recipe.merge(Layer(deltas=task_vectors, experts=names)).delta
    large = recipe.merge(Layer(deltas=[factor * delta for delta in task_vectors], experts=names)).delta
    close(large, factor * small)


@pytest.mark.parametrize("method", ["wudi", "optmerge"])
def test_a_fixed_learning_rate_does_not_scale(method: str) -> None:
    task_vectors = deltas(3)
    small = merge(method, task_vectors, learning_rate=1e-5)
    large = merge(method, [1000 * delta for delta in task_vectors], learning_rate=1e-5)
    assert (large - 1000 * small).norm() > 1e-2 * large.norm()


@pytest.mark.parametrize("method", ["slerp", "karcher"])
def test_means_of_weights_do_not_scale_with_the_task_vectors(method: str) -> None:
    base, task_vectors = deltas(1, seed=5)[0], deltas(2)
    small = merge(method, task_vectors, base)
    large = merge(method, [7 * delta for delta in task_vectors], base)
    assert (large - 7 * small).norm() > 1e-2 * large.norm()


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("average", {}),
        ("model_stock", {}),
        ("slerp", {}),
        ("karcher", {}),
        ("ties", {"density": 1.0}),
        ("sce", {}),
        ("pinv", {}),
        ("actmat", {}),
        ("wudi_flow", {"time": 1e4}),
        ("swudi", {"time": 1e6, "ratio": 1.0}),
        ("tikhonov", {"alpha": 1e-12}),
        ("landweber", {"iterations": 10**6}),
        ("swudi_a", {"rule": "cumulative_variance", "variance": 1.0}),
    ],
)
def test_equal_experts_merge_to_themselves(method: str, settings: dict[str, Any]) -> None:
    (one,) = deltas(1)
    close(merge(method, [one, one], **settings), one, 1e-6)


@pytest.mark.parametrize("method", [*WUDI_FAMILY, "actmat"])
def test_experts_with_orthogonal_inputs_keep_their_sum(method: str) -> None:
    first, second = torch.zeros(6, 10), torch.zeros(6, 10)
    first[:, :5], second[:, 5:] = deltas(1, (6, 5))[0], deltas(1, (6, 5), seed=1)[0]
    # The truncation of optmerge must keep all that there is, and Adam turns rounding into steps.
    settings = {"optmerge": {"ratio": 1.0}}.get(method, {})
    close(merge(method, [first, second], **settings), first + second, 1e-6)


def test_experts_with_orthogonal_singular_vectors_keep_their_sum_in_tsv_m() -> None:
    first, second = torch.zeros(6, 10), torch.zeros(6, 10)
    first[:3, :5], second[3:, 5:] = deltas(1, (3, 5))[0], deltas(1, (3, 5), seed=1)[0]
    close(merge("tsv_m", [first, second]), first + second)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (1, 1), (2, 40), (40, 2)])
def test_thin_layers(method: str, shape: tuple[int, int]) -> None:
    merged = merge(method, some(method, shape, 3))
    assert merged.shape == shape
    assert torch.isfinite(merged).all()


@pytest.mark.parametrize("method", METHODS)
def test_rank_deficient_layers(method: str) -> None:
    generator = torch.Generator().manual_seed(3)
    thin = [torch.randn(6, 1, generator=generator) @ torch.randn(1, 10, generator=generator) for _ in range(2)]
    merged = merge(method, thin)
    assert torch.isfinite(merged).all()
    assert merged.norm() <= 10 * max(delta.norm() for delta in thin)


@pytest.mark.parametrize("method", ["tsv_m", "iso_c", "iso_cts", "actmat", *WUDI_FAMILY])
def test_methods_that_turn_with_their_inputs(method: str) -> None:
    if method in ("wudi", "optmerge"):
        pytest.skip("Adam works entry by entry")
    left, right = (torch.linalg.qr(deltas(1, (n, n), seed=n)[0]).Q for n in (6, 10))
    task_vectors = deltas(3)
    turned = merge(method, [left @ delta @ right for delta in task_vectors])
    close(turned, left @ merge(method, task_vectors) @ right, 1e-6)


REDUCTIONS: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("swudi", {"ratio": 1.0}, "wudi_flow", {}),
    ("wudi_flow", {"products": "doubling"}, "wudi_flow", {"products": "chebyshev"}),
    ("swudi", {"ratio": 1.0, "time": 1e12}, "pinv", {}),
    ("tikhonov", {"alpha": 1e-14}, "pinv", {}),
    ("landweber", {"iterations": 10**9}, "pinv", {}),
    ("swudi_a", {"rule": "cumulative_variance", "variance": 1.0}, "pinv", {}),
    ("optmerge", {"ratio": 1.0}, "wudi", {}),
    ("tact", {"density": 1.0}, "actmat", {}),
    ("iso_cts", {"common": 1.0}, "iso_c", {}),
    ("dare", UNTRIMMED["dare"], "task_arithmetic", {}),
    ("breadcrumbs", UNTRIMMED["breadcrumbs"], "task_arithmetic", {}),
    ("dare_ties", {"drop_rate": 0.0}, "ties", {}),
    ("della", UNTRIMMED["della"], "ties", {"density": 1.0}),
    ("consensus", {"threshold": 0.0, "agree": 1}, "task_arithmetic", {}),
    ("ties", {"trim": "model"}, "ties", {"trim": "tensor"}),  # of a single layer
]


@pytest.mark.parametrize(("method", "settings", "other", "its"), REDUCTIONS)
def test_special_cases_are_known_methods(
    method: str, settings: dict[str, Any], other: str, its: dict[str, Any]
) -> None:
    # More rows than columns in all, so that every direction counts.
    task_vectors = deltas(3, (12, 8))
    close(merge(method, task_vectors, **settings), merge(other, task_vectors, **its), 1e-5)


def test_pinv_with_equal_norms_is_actmat() -> None:
    task_vectors = [delta / delta.norm() for delta in deltas(3)]
    close(merge("pinv", task_vectors), merge("actmat", task_vectors))
    unequal = [delta * scale for delta, scale in zip(task_vectors, (1.0, 2.0, 4.0), strict=True)]
    assert (merge("pinv", unequal) - merge("actmat", unequal)).norm() > 1e-3


def test_karcher_of_two_of_equal_length_is_slerp_halfway() -> None:
    task_vectors = [delta / delta.norm() for delta in deltas(2)]
    close(merge("karcher", task_vectors), merge("slerp", task_vectors))


def test_slerp_keeps_the_length_and_divides_the_angle() -> None:
    first, second = torch.zeros(2, 2), torch.zeros(2, 2)
    first[0, 0], second[1, 1] = 2.0, 2.0
    merged = merge("slerp", [first, second], t=1 / 3)
    assert merged.norm() == pytest.approx(2.0)
    assert torch.rad2deg(torch.acos(merged[0, 0] / 2.0)) == pytest.approx(30.0)
    close(merge("slerp", [first, second], t=0.0), first)
    close(merge("slerp", [first, second], t=1.0), second)


def test_ties_with_agreeing_signs_is_the_average() -> None:
    positive = [delta.abs() for delta in deltas(3)]
    close(merge("ties", positive, density=1.0), merge("average", positive))


def test_model_stock_by_hand() -> None:
    first, second = torch.zeros(1, 2), torch.zeros(1, 2)
    first[0, 0], second[0] = 1.0, torch.tensor([0.6, 0.8])
    # cos θ = 0.6, t = 2 · 0.6 / 1.6 = 0.75
    close(merge("model_stock", [first, second]), 0.75 * (first + second) / 2)
    assert torch.equal(merge("model_stock", [first, -first]), torch.zeros(1, 2))


def test_weights_count_an_expert_more_than_once() -> None:
    first, second = deltas(2)
    layer = Layer(deltas=[first, second], experts=["a", "b"])
    for method, repeated in {
        "average": merge("average", [first, first, second]),
        "task_arithmetic": merge("task_arithmetic", [first, first, second]),
        "ties": merge("ties", [first, first, second], density=1.0),
    }.items():
        settings = {"method": method, "weights": {"a": 2}, **UNTRIMMED.get(method, {})}
        close(Recipe.parse(settings).merge(layer).delta, repeated)
    away = Recipe.parse({"method": "task_arithmetic", "weights": {"b": -1}})
    close(away.merge(layer).delta, first - second)


def test_ties_by_hand() -> None:
    first = torch.tensor([3.0, -2.0, 0.1, 4.0])
    second = torch.tensor([1.0, 5.0, 0.2, -4.0])
    # Kept of four at density 0.5: all from the second smallest on, as the authors' threshold has it.
    # Signs elected: +, +, none kept of the first, and an exact tie that adds nothing.
    expected = torch.tensor([2.0, 5.0, 0.0, 0.0])
    close(merge("ties", [first, second], density=0.5), expected)
    close(merge("ties", [first, second], density=0.5, merge="sum"), expected * torch.tensor([2.0, 1, 1, 1]))


def test_trimming_by_row_and_by_tensor() -> None:
    tensor = torch.tensor([[8.0, 7.0, 6.0, 5.0], [4.0, 3.0, 2.0, 1.0]])
    by_tensor = torch.tensor([[8.0, 7.0, 6.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    by_row = torch.tensor([[8.0, 7.0, 0.0, 0.0], [4.0, 3.0, 0.0, 0.0]])
    close(merge("ties", [tensor], density=0.25, trim="tensor"), by_tensor)
    close(merge("ties", [tensor], density=0.25, trim="row"), by_row)


def test_breadcrumbs_by_hand() -> None:
    row = torch.tensor([[10.0, -9.0, 8.0, 7.0, -6.0, 5.0, 4.0, 3.0, 2.0, 1.0]])
    expected = torch.tensor([[0.0, -9.0, 8.0, 7.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    close(merge("breadcrumbs", [row], density=0.4, gamma=0.1), expected)


def test_consensus_by_hand() -> None:
    first = torch.tensor([1.0, 1.0, 5.0])
    second = torch.tensor([1.0, -1.0, 0.1])
    # The third entry is important to the first expert alone.
    close(merge("consensus", [first, second]), torch.tensor([2.0, 0.0, 0.0]))
    close(merge("consensus", [first, second], agree=1), torch.tensor([2.0, 0.0, 5.1]))


def test_sce_by_hand() -> None:
    first = torch.tensor([2.0, 0.0, 1.0, 1.0])
    second = torch.tensor([0.0, 4.0, -3.0, 1.0])
    # Weights 6 and 26 of 32. Variances 1, 4, 4 and 0: at density 2/3 the second and third position count,
    # which leaves the weights 1 and 25 of 26.
    close(merge("sce", [first, second]), torch.tensor([2.0, 4.0, -3.0, 1.0]))
    mixed = torch.tensor([2.0, 4.0, -3.0, 1.0])
    close(merge("sce", [first, second], density=0.67), mixed)
    selected = torch.tensor([0.0, 4.0, -3.0, 0.0])
    close(merge("sce", [first, second], density=0.67, select="task_vectors"), selected)


def test_sce_weighs_by_squared_entries() -> None:
    first, second = torch.full((2, 2), 1.0), torch.full((2, 2), 3.0)
    close(merge("sce", [first, second]), torch.full((2, 2), (1.0 * 1 + 9.0 * 3) / 10.0))


@pytest.mark.parametrize("method", ["dare", "dare_ties", "della"])
@pytest.mark.parametrize("settings", [{}, {"rescale": "l1"}, {"rescale": "none"}])
def test_random_methods_follow_their_seed_and_no_order(method: str, settings: dict[str, Any]) -> None:
    task_vectors, recipe = deltas(2, (40, 40)), {"method": method, **settings}

    def merged(names: str, vectors: list[Tensor], tensor: str = "w", seed: int = 0) -> Tensor:
        layer = Layer(deltas=vectors, experts=list(names), name=tensor)
        return Recipe.parse({**recipe, "seed": seed}).merge(layer).delta

    once = merged("ab", task_vectors)
    assert torch.equal(once, merged("ab", task_vectors))
    close(merged("ba", task_vectors[::-1]), once)
    assert not torch.equal(once, merged("ab", task_vectors, tensor="v"))
    assert not torch.equal(once, merged("ab", task_vectors, seed=1))


def test_dare_keeps_the_expectation() -> None:
    merged = merge("dare", [torch.ones(400, 400)], drop_rate=0.8)
    kept = merged != 0
    assert abs(float(kept.double().mean()) - 0.2) < 0.005
    close(merged[kept], torch.full_like(merged[kept], 5.0))
    restored = merge("dare", [torch.ones(400, 400)], drop_rate=0.8, rescale="l1")
    assert restored.sum() == pytest.approx(400 * 400)


def test_della_keeps_large_entries_more_often_and_the_expectation() -> None:
    row = torch.linspace(0.001, 1.0, 1000).repeat(2000, 1)
    merged = merge("della", [row], density=0.5, epsilon=0.3)
    kept = (merged != 0).double().mean(dim=0)
    assert kept[:50].mean() == pytest.approx(0.2, abs=0.02)
    assert kept[-50:].mean() == pytest.approx(0.8, abs=0.02)
    assert merged.mean() == pytest.approx(float(row.mean()), rel=0.01)


@pytest.mark.parametrize("method", WUDI_FAMILY)
def test_interference_is_reported_and_falls(method: str) -> None:
    task_vectors = deltas(4, (12, 8))
    update = Recipe.parse({"method": method}).merge(Layer(deltas=task_vectors))
    form = interference(task_vectors)
    assert form is not None
    measured = update.measured
    if method != "optmerge":  # which descends to truncated targets
        assert measured["interference_result"] < measured["interference_sum"]
    total = torch.stack(task_vectors).sum(dim=0)
    expected = {"sum": total, "mean": total / 4, "result": update.delta}
    for name, point in expected.items():
        assert measured[f"interference_{name}"] == pytest.approx(form.loss(point))


def test_more_time_and_more_steps_leave_less_interference() -> None:
    task_vectors = deltas(4, (12, 8))

    def left(method: str, **settings: object) -> float:
        update = Recipe.parse({"method": method, **settings}).merge(Layer(deltas=task_vectors))
        return update.measured["interference_result"]

    assert left("wudi_flow", time=0.1) > left("wudi_flow", time=1) > left("wudi_flow", time=10) > left("pinv")
    assert left("landweber", iterations=2) > left("landweber", iterations=5) > left("pinv")
    assert left("tikhonov", alpha=1.0) > left("tikhonov", alpha=0.01) > left("pinv")


@pytest.mark.parametrize("shape", [(20, 6), (2, 40)], ids=["by moments", "by factors"])
def test_the_gradient_is_that_of_the_published_loss(shape: tuple[int, int]) -> None:
    task_vectors = deltas(3, shape)
    merged = torch.stack(task_vectors).sum(dim=0).requires_grad_()
    loss = sum(((merged - delta) @ delta.T).square().sum() / delta.square().sum() for delta in task_vectors)
    assert isinstance(loss, Tensor)
    loss.backward()
    form = interference(task_vectors)
    assert form is not None
    assert merged.grad is not None
    point = merged.detach()
    torch.testing.assert_close(form.gradient()(point), merged.grad, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(form.gradient(slice(1, 2))(point[1:2]), merged.grad[1:2], rtol=1e-9, atol=1e-12)
    assert form.loss(point) == pytest.approx(float(loss.detach()))
    torch.testing.assert_close(form.curvature()(point), (form.gradient()(2 * point) - form.gradient()(point)) / 2)


def test_lengths_of_large_tensors_keep_their_digits() -> None:
    """A float32 sum over millions of squares would be wrong in its third digit."""
    generator = torch.Generator().manual_seed(0)
    base, step = (torch.randn(4096, 4096, generator=generator, dtype=torch.float32) for _ in range(2))
    step *= 3e-3
    for method in ("karcher", "slerp"):
        layer = Layer(deltas=[step, step], base=base)
        merged = Recipe.parse({"method": method}).merge(layer).delta
        assert (merged - step).norm() < 1e-3 * step.norm()


def test_task_vectors_that_nearly_cancel_are_merged_too() -> None:
    first, second = deltas(2, (12, 8))
    for rest in (torch.zeros(12, 8), 1e-4 * deltas(1, (12, 8), seed=7)[0]):
        layer = Layer(deltas=[first, second, rest - first - second])
        least = Recipe.parse({"method": "pinv"}).merge(layer).measured["interference_result"]
        measured = Recipe.parse({"method": "wudi"}).merge(layer).measured
        before, after = measured["interference_sum"] - least, measured["interference_result"] - least
        assert 0 <= after < 0.1 * before


def test_landweber_and_iso_cts_at_the_ends_of_their_ranges() -> None:
    task_vectors = deltas(3, (8, 10))
    for settings in ({"method": "landweber", "iterations": 1, "step": 1.0}, {"method": "iso_cts", "common": 0.0}):
        assert torch.isfinite(Recipe.parse(settings).merge(Layer(deltas=task_vectors)).delta).all()
    assert Recipe.parse({"method": "iso_cts", "common": 0.0}).merge(Layer(deltas=task_vectors)).measured["rank"] == 8


@pytest.mark.parametrize("method", ["tsv_m", "iso_cts"])
def test_experts_that_share_directions_bring_in_no_arbitrary_ones(method: str) -> None:
    generator = torch.Generator().manual_seed(4)
    thin = torch.randn(12, 2, generator=generator) @ torch.randn(2, 20, generator=generator)
    rows = torch.linalg.svd(thin, full_matrices=False)[2][:2]
    for other in (thin, 2 * thin, -0.5 * thin):
        found = merge(method, [thin, other])
        assert (found - found @ rows.T @ rows).norm() < 1e-6 * thin.norm()
        if method == "tsv_m":  # iso_cts takes each expert's directions outside the common ones, however weak
            noise = 1e-9 * torch.randn(12, 20, generator=generator)
            close(merge(method, [thin, other + noise]), found, 1e-4)


@pytest.mark.parametrize("method", ["model_stock", "consensus"])
def test_what_one_expert_alone_changes_is_kept(method: str) -> None:
    (one,) = deltas(1)
    close(merge(method, [one, torch.zeros(6, 10), torch.zeros(6, 10)]), one)


def test_half_precision_is_taken_as_float32() -> None:
    halves = [delta.bfloat16() for delta in deltas(3)]
    for method in METHODS:
        given = halves[:2] if method == SLERP else halves
        found = Recipe.parse({"method": method}).merge(Layer(deltas=[one.requires_grad_() for one in given])).delta
        expected = Recipe.parse({"method": method}).merge(Layer(deltas=[one.detach().float() for one in given])).delta
        assert torch.equal(found, expected), method


def test_task_vectors_of_several_shapes_are_refused() -> None:
    with pytest.raises(WudiError, match=r"w: got task vectors of shapes \[\(2, 3\), \(3, 2\)\]"):
        Recipe.parse({"method": "average"}).merge(Layer(deltas=[torch.ones(2, 3), torch.ones(3, 2)], name="w"))
