from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.conftest import moved, random_tensors, write_model
from wudi import similarity as module
from wudi.checkpoint import Checkpoint
from wudi.errors import WudiError
from wudi.experts import FACTORS, LEFT, RIGHT, TASK_VECTOR, Expert
from wudi.low_rank import LowRank, dense
from wudi.names import block_number, module_name
from wudi.similarity import Similarity, cosines, inner_products, similarity
from wudi.task_vectors import write_task_vector

LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
Trio = tuple[Path, list[Path]]


def open_trio(trio: Trio) -> tuple[Checkpoint, list[Expert]]:
    base, experts = trio
    return Checkpoint(base), [Expert(path.name, Checkpoint(path)) for path in experts]


def directly(base: dict[str, Tensor], experts: list[dict[str, Tensor]], names: list[str]) -> Tensor:
    """The cosines of the named tensors, all in one vector."""
    vectors = [torch.cat([(own[name] - base[name]).flatten().double() for name in names]) for own in experts]
    return torch.tensor([[torch.cosine_similarity(a, b, dim=0) for b in vectors] for a in vectors], dtype=torch.float64)


def test_against_a_direct_computation(trio: Trio) -> None:
    base, experts = random_tensors(0), [moved(random_tensors(0), seed) for seed in (1, 2, 3)]
    measured = similarity(*open_trio(trio))
    torch.testing.assert_close(measured.overall, directly(base, experts, list(base)))
    linear = [name for name in base if module_name(name) in LINEAR]
    torch.testing.assert_close(measured.kinds["linear"], directly(base, experts, linear))
    embedding = ["model.embed_tokens.weight", "lm_head.weight"]
    torch.testing.assert_close(measured.kinds["embedding"], directly(base, experts, embedding))
    rest = [name for name in base if name not in (*linear, *embedding)]
    torch.testing.assert_close(measured.kinds["rest"], directly(base, experts, rest))
    assert sorted(measured.modules) == sorted(LINEAR)
    torch.testing.assert_close(
        measured.modules["k_proj"], directly(base, experts, ["model.layers.0.self_attn.k_proj.weight"])
    )


def matrices(measured: Similarity) -> list[Tensor]:
    return [measured.overall, *measured.kinds.values(), *measured.modules.values()]


def test_cosines_are_symmetric_and_one_with_oneself(trio: Trio) -> None:
    for matrix in matrices(similarity(*open_trio(trio))):
        assert torch.equal(matrix, matrix.T)
        torch.testing.assert_close(matrix.diagonal(), torch.ones(3, dtype=torch.float64))
        assert matrix.abs().max() <= 1.0


def test_the_length_of_a_task_vector_does_not_matter_and_its_sign_does(tmp_path: Path) -> None:
    base = random_tensors(0)
    step = random_tensors(1, 0.1)
    folders = [
        write_model(tmp_path / name, {key: weight + factor * step[key] for key, weight in base.items()})
        for name, factor in {"once": 1.0, "thrice": 3.0, "back": -1.0}.items()
    ]
    overall = similarity(*open_trio((write_model(tmp_path / "base", base), folders))).overall
    expected = torch.tensor([[1.0, 1.0, -1.0], [1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(overall, expected, rtol=0, atol=1e-6)


def test_written_task_vectors_give_what_their_experts_give(trio: Trio, tmp_path: Path) -> None:
    base, experts = open_trio(trio)
    written = []
    for expert in experts:
        write_task_vector(base, expert, tmp_path / "task_vectors" / expert.name)
        written.append(Expert(expert.name, Checkpoint(tmp_path / "task_vectors" / expert.name)))
    assert similarity(base, written).as_dict() == similarity(base, experts).as_dict()


def test_an_expert_that_leaves_tensors_alone_is_like_no_other_there(tmp_path: Path) -> None:
    base, other = random_tensors(0), moved(random_tensors(0), 1)
    partial = {**base, "lm_head.weight": other["lm_head.weight"]}
    folders = [write_model(tmp_path / name, own) for name, own in {"all": other, "head": partial}.items()]
    measured = similarity(*open_trio((write_model(tmp_path / "base", base), folders)))
    assert torch.equal(measured.kinds["linear"].round(), torch.tensor([[1.0, 0.0], [0.0, 0.0]]).double())
    assert 0 < measured.overall[0, 1] < measured.kinds["embedding"][0, 1] < 1
    assert all(torch.isfinite(matrix).all() for matrix in matrices(measured))


def test_zero_task_vectors_have_no_direction() -> None:
    assert torch.equal(cosines(torch.zeros(2, 2, dtype=torch.float64)), torch.zeros(2, 2, dtype=torch.float64))
    assert torch.equal(
        cosines(inner_products([torch.zeros(3, 4), torch.ones(3, 4)])), torch.diag(torch.tensor([0.0, 1.0]).double())
    )


def factors(rank: int, seed: int, shape: tuple[int, int] = (6, 10)) -> LowRank:
    generator = torch.Generator().manual_seed(seed)
    return LowRank(torch.randn(shape[0], rank, generator=generator), torch.randn(rank, shape[1], generator=generator))


@pytest.mark.parametrize("block", [1, 7, 20, 1 << 20])
def test_factors_give_what_their_products_give(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also beside whole tensors, of rank 0, and whatever the size of a block."""
    monkeypatch.setattr(module, "BLOCK", block)
    nothing = LowRank.zero((6, 10), torch.ones(1))
    deltas = [factors(2, 0), factors(6, 1).dense(), factors(3, 2), factors(6, 3).dense(), nothing]
    whole = torch.stack([dense(delta).double().flatten() for delta in deltas])
    torch.testing.assert_close(inner_products(deltas), whole @ whole.T, rtol=1e-5, atol=1e-5)


def test_factors_are_never_multiplied_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LowRank, "dense", lambda _: pytest.fail("the product was formed"))
    inner_products([factors(2, 0), torch.ones(6, 10), factors(3, 1)])


def test_a_task_vector_of_factors_beside_a_whole_one(trio: Trio, tmp_path: Path) -> None:
    """What the file of factors does not hold is unchanged: it has nothing in common there."""
    base, experts = open_trio(trio)
    name = "model.layers.0.self_attn.q_proj.weight"
    delta = factors(2, 0, (16, 16))
    file = tmp_path / "adapter.safetensors"
    header = {"content": TASK_VECTOR, "form": FACTORS}
    save_file({name + LEFT: delta.left, name + RIGHT: delta.right}, file, header)
    measured = similarity(base, [experts[0], Expert("adapter", Checkpoint(file))])
    whole = experts[0].checkpoint.read(name) - base.read(name)
    expected = torch.cosine_similarity(whole.flatten().double(), delta.dense().flatten().double(), dim=0)
    torch.testing.assert_close(measured.modules["q_proj"][0, 1], expected, rtol=1e-5, atol=1e-7)
    assert torch.equal(measured.modules["k_proj"][:, 1], torch.zeros(2, dtype=torch.float64))
    assert torch.equal(measured.kinds["rest"][1], torch.zeros(2, dtype=torch.float64))


def test_sums_of_many_entries_lose_no_digits() -> None:
    """Added up in float32, 2²⁵ entries stop at 2²⁴."""
    ones = torch.ones(1 << 25)
    assert float(inner_products([ones])[0, 0]) == 1 << 25


def test_values_for_json_are_rounded_and_without_negative_zeros(trio: Trio) -> None:
    values = similarity(*open_trio(trio)).as_dict()
    assert values["experts"] == ["expert1", "expert2", "expert3"]
    assert list(values["kinds"]) == ["linear", "embedding", "rest"]
    assert [values["overall"][index][index] for index in range(3)] == [1.0] * 3
    tiny = torch.tensor([[1.0, -1e-9], [-1e-9, 1.0]], dtype=torch.float64)
    assert "-0.0" not in str(Similarity(("a", "b"), tiny, {}, {}).as_dict())


def test_order_of_experts_permutes_rows_and_columns(trio: Trio) -> None:
    base, experts = open_trio(trio)
    there, back = similarity(base, experts).overall, similarity(base, experts[::-1]).overall
    torch.testing.assert_close(there.flip(0, 1), back)


def test_experts_of_another_shape_are_refused(trio: Trio, tmp_path: Path) -> None:
    base, experts = open_trio(trio)
    save_file({"model.norm.weight": torch.ones(3)}, tmp_path / "other.safetensors")
    other = Expert("other", Checkpoint(tmp_path / "other.safetensors"))
    with pytest.raises(WudiError, match="expert other"):
        similarity(base, [*experts, other])


@pytest.mark.parametrize(
    ("tensor", "name", "block"),
    [
        ("model.layers.3.self_attn.q_proj.weight", "q_proj", 3),
        ("model.layers.12.self_attn.q_proj.bias", "q_proj", 12),
        ("transformer.h.0.mlp.c_fc.weight", "c_fc", 0),
        ("model.layers.3.block_sparse_moe.experts.7.w1.weight", "w1", 3),
        ("blocks.3.mlp.0.weight", "mlp", 3),
        ("model.layers.0.mlp.experts.gate_up_proj", "gate_up_proj", 0),
        ("lm_head.weight", "lm_head", None),
        ("a", "a", None),
        ("0.weight", "0.weight", 0),
    ],
)
def test_names(tensor: str, name: str, block: int | None) -> None:
    assert module_name(tensor) == name
    assert block_number(tensor) == block


def test_tensors_are_read_one_after_the_other(trio: Trio, monkeypatch: pytest.MonkeyPatch) -> None:
    base, experts = open_trio(trio)
    asked: list[str] = []
    read = Expert.delta

    def delta(self: Expert, tensor: str, weight: Tensor, **options: Any) -> object:
        asked.append(tensor)
        return read(self, tensor, weight, **options)

    monkeypatch.setattr(Expert, "delta", delta)
    similarity(base, experts)
    assert asked == [name for name in base.tensors for _ in experts]
