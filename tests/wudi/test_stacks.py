"""A stack of experts' weights is merged matrix by matrix, in whichever direction it is stored."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.wudi.merges import Trio, all_tensors, bare_files, run
from wudi import WudiError
from wudi.architecture import Role, roles
from wudi.checkpoint import Checkpoint

UP, DOWN = "model.layers.0.mlp.experts.gate_up_proj", "model.layers.0.mlp.experts.down_proj"
SHAPES = {UP: (4, 48, 16), DOWN: (4, 16, 24)}
"""(expert, out, in), as Mixtral stores them."""

CONFIG = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "num_local_experts": 4,
    "num_experts_per_tok": 2,
    "vocab_size": 32,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "mixtral": {**CONFIG, "architectures": ["MixtralForCausalLM"], "model_type": "mixtral"},
    "gpt_oss": {**CONFIG, "architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss"},
    "bare": {},
    "bare_transposed": {},
}
TRANSPOSED = {"gpt_oss", "bare_transposed"}

METHODS: list[dict[str, Any]] = [
    {"method": "average"},
    {"method": "ties", "trim": "tensor"},
    {"method": "wudi_flow"},
    {"method": "swudi"},
    {"method": "wudi_flow", "scale": 0.5},
]


def models() -> list[dict[str, Tensor]]:
    """A base and three experts, with matrices of (out, in)."""
    generator = torch.Generator().manual_seed(0)

    def drawn(scale: float) -> dict[str, Tensor]:
        return {name: torch.randn(shape, generator=generator) * scale for name, shape in SHAPES.items()}

    base = drawn(1.0)
    return [base, *({name: base[name] + step for name, step in drawn(0.1).items()} for _ in range(3))]


def written(folder: Path, family: str, tensors: list[dict[str, Tensor]]) -> Trio:
    """The models as a family stores them, each in a folder with its config, or in a bare file."""
    turned = [{n: t.mT.contiguous() if family in TRANSPOSED else t for n, t in model.items()} for model in tensors]
    if not FAMILIES[family]:
        return bare_files(folder, turned)
    paths = [folder / f"model{number}" for number in range(len(turned))]
    for path, model in zip(paths, turned, strict=True):
        path.mkdir(parents=True)
        (path / "config.json").write_text(json.dumps(FAMILIES[family]))
        save_file(model, path / "model.safetensors")
    return paths[0], paths[1:]


def one_by_one(folder: Path, tensors: list[dict[str, Tensor]]) -> Trio:
    """The same matrices, each a linear weight of its own."""
    return bare_files(
        folder,
        [
            {f"layers.{i}.{name.rpartition('.')[2]}.weight": m for name, t in model.items() for i, m in enumerate(t)}
            for model in tensors
        ],
    )


def rejoined(separate: dict[str, Tensor], name: str) -> Tensor:
    return torch.stack([separate[f"layers.{i}.{name.rpartition('.')[2]}.weight"] for i in range(SHAPES[name][0])])


@pytest.mark.parametrize("recipe", METHODS, ids=lambda recipe: "-".join(map(str, recipe.values())))
@pytest.mark.parametrize("family", FAMILIES)
def test_a_stack_is_merged_as_its_matrices_are(family: str, recipe: dict[str, Any], tmp_path: Path) -> None:
    stacked = written(tmp_path / "stacked", family, models())
    assert set(roles(Checkpoint(stacked[0])).values()) == {Role("linear", transposed=family in TRANSPOSED)}
    report = run(*stacked, tmp_path / "out", recipe, measure=True)
    single = run(*one_by_one(tmp_path / "single", models()), tmp_path / "single_out", recipe, measure=True)
    merged, separate = all_tensors(report.out), all_tensors(single.out)
    for name in SHAPES:
        expected = rejoined(separate, name)
        found = merged[name].mT if family in TRANSPOSED else merged[name]
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected)
        measured = report.record["layers"][name]
        parts = [single.record["layers"][f"layers.{i}.{name.rpartition('.')[2]}.weight"] for i in range(4)]
        assert {"interference_sum", "interference_mean", "interference_result"} <= measured.keys()
        for key in measured:
            if key.startswith("interference"):
                assert measured[key] == pytest.approx(sum(part[key] for part in parts), rel=1e-3)


@pytest.mark.parametrize("family", ["bare", "bare_transposed"])
def test_a_stack_is_written_in_the_base_s_dtype_and_shape(family: str, tmp_path: Path) -> None:
    halves = [{name: tensor.bfloat16() for name, tensor in model.items()} for model in models()]
    stacked = written(tmp_path / "stacked", family, halves)
    merged = load_file(run(*stacked, tmp_path / "out", {"method": "average"}).out / "model.safetensors")
    base, *experts = [load_file(file) for file in (stacked[0], *stacked[1])]
    for name, tensor in base.items():
        assert (merged[name].dtype, merged[name].shape) == (tensor.dtype, tensor.shape)
        mean = torch.stack([expert[name].float() for expert in experts]).mean(dim=0)
        torch.testing.assert_close(merged[name].float(), mean, rtol=2**-8, atol=1e-6)


@pytest.mark.parametrize("frozen", [[0], [2], [0, 1, 2, 3]])
@pytest.mark.parametrize("method", ["average", "wudi_flow", "swudi", "model_stock"])
def test_matrices_that_no_expert_changes(method: str, frozen: list[int], tmp_path: Path) -> None:
    """Training may never reach some of the stack: those stay as they are and add no interference."""
    base, *experts = models()
    for expert in experts:
        expert[UP][frozen] = base[UP][frozen]
    whole = run(
        *written(tmp_path / "whole", "bare", [base, *experts]), tmp_path / "out", {"method": method}, measure=True
    )
    merged = all_tensors(whole.out)
    assert torch.equal(merged[UP][frozen], base[UP][frozen])
    assert torch.isfinite(merged[UP]).all()
    moving = [index for index in range(4) if index not in frozen]
    if not moving:
        return
    kept = [{UP: model[UP][moving], DOWN: model[DOWN][moving]} for model in (base, *experts)]
    alone = run(*written(tmp_path / "alone", "bare", kept), tmp_path / "alone_out", {"method": method}, measure=True)
    torch.testing.assert_close(merged[UP][moving], all_tensors(alone.out)[UP])
    found, expected = whole.record["layers"][UP], alone.record["layers"][UP]
    for key in ("interference_sum", "interference_mean", "interference_result"):
        assert found[key] == pytest.approx(expected[key], rel=1e-3)


def test_each_matrix_of_a_stack_has_its_own_random_mask(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    base, step = torch.zeros(1, 48, 16), torch.randn(1, 48, 16, generator=generator)
    down = torch.zeros(4, 16, 24)
    trio = bare_files(
        tmp_path / "files", [{UP: (base + factor * step).repeat(4, 1, 1), DOWN: down} for factor in (0.0, 1.0)]
    )
    merged = all_tensors(run(*trio, tmp_path / "out", {"method": "dare", "drop_rate": 0.5, "scale": 1.0}).out)[UP]
    kept = merged != 0
    assert all(not torch.equal(kept[i], kept[j]) for i in range(4) for j in range(i))
    assert kept.flatten(1).float().mean(dim=1) == pytest.approx([0.5] * 4, abs=0.1)


def test_a_convolution_is_no_stack(tmp_path: Path) -> None:
    name, linear = "backbone.layers.0.mixer.conv1d.weight", "backbone.layers.0.mixer.in_proj.weight"
    generator = torch.Generator().manual_seed(0)
    tensors = [
        {name: torch.randn(6, 1, 4, generator=generator), linear: torch.randn(6, 5, generator=generator)}
        for _ in range(3)
    ]
    trio = bare_files(tmp_path / "files", tensors)
    assert roles(Checkpoint(trio[0]))[name] == Role("rest")
    for rest, factor in {"average": 0.5, "base": 0.0, "sum": 1.0}.items():
        merged = all_tensors(run(*trio, tmp_path / rest, {"method": "swudi", "rest": rest}, measure=True).out)
        total = tensors[1][name] + tensors[2][name] - 2 * tensors[0][name]
        torch.testing.assert_close(merged[name], tensors[0][name] + factor * total)
    layers = run(*trio, tmp_path / "measured", {"method": "ties"}, measure=True).record["layers"]
    assert set(layers) == {linear}
    with pytest.raises(WudiError, match="leave no tensor to the method"):
        run(*trio, tmp_path / "out", {"method": "swudi", "include": [name]})
