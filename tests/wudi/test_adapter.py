"""LoRA adapters as experts, against what PEFT itself makes of them."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoHaConfig, LoraConfig, PeftModel, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, LlamaModel

from wudi.architecture import roles
from wudi.checkpoint import Checkpoint
from wudi.cli import main
from wudi.errors import WudiError
from wudi.experts import Expert, open_experts
from wudi.hashes import file_sha256
from wudi.low_rank import LowRank, dense
from wudi.norms import frobenius, stable_rank
from wudi.preflight import check_experts
from wudi.task_vectors import write_task_vector

Q = "model.layers.0.self_attn.q_proj.weight"
FILE = "adapter_model.safetensors"
pytestmark = pytest.mark.filterwarnings("ignore")  # PEFT comments on each of the cases


def llama(**settings: Any) -> LlamaForCausalLM:
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "vocab_size": 40}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 32}
    return LlamaForCausalLM(LlamaConfig(**{**sizes, **heads, "tie_word_embeddings": False, **settings}))


def gpt2(**settings: Any) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=40, n_positions=32, **settings))


def saved(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    return folder


def adapter(base: Any, folder: Path, config: Any, seed: int = 1) -> Path:
    """A PEFT adapter to a model, each trainable weight of it moved as if by training."""
    model = get_peft_model(base, config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += torch.randn(parameter.shape, generator=generator) * 0.1
    model.save_pretrained(folder)
    return folder


def lora(folder: Path, seed: int = 1, **settings: Any) -> Path:
    """A LoRA adapter to the small Llama."""
    defaults = {"r": 2, "lora_alpha": 5, "target_modules": ["q_proj", "down_proj"]}
    return adapter(llama(), folder, LoraConfig(**{**defaults, **settings}), seed)


def merged_by_peft(base: Any, folder: Path) -> dict[str, Tensor]:
    """Every tensor of PEFT's own merge minus the base's."""
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    after = PeftModel.from_pretrained(base, folder).merge_and_unload().state_dict()
    assert after.keys() == before.keys()
    return {name: after[name] - tensor for name, tensor in before.items()}


def delta(base: Checkpoint, expert: Expert, name: str, **options: Any) -> Any:
    return expert.delta(name, base.read(name), **options)


def check(base: Checkpoint, expert: Expert, expected: dict[str, Tensor], **options: Any) -> None:
    for name in base.tensors:
        found = delta(base, expert, name, **options)
        torch.testing.assert_close(dense(found), expected[name], rtol=0, atol=1e-6, msg=name)
        unchanged = not expected[name].any()
        assert not unchanged or not isinstance(found, LowRank) or found.rank == 0


CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "rank-stabilised": {"use_rslora": True},
    "every linear weight": {"target_modules": "all-linear"},
    "by regular expression": {"target_modules": r".*layers\.1.*(up|gate)_proj"},
    "rank and alpha patterns": {
        "rank_pattern": {"down_proj": 3, "^model.layers.0.self_attn.q_proj": 4, "proj": 1},
        "alpha_pattern": {r"layers\.1\..*": 7, "q_proj": 11},
    },
    "patterns and rank-stabilised": {"use_rslora": True, "rank_pattern": {"1.mlp.down_proj": 3}},
    "embedding": {"target_modules": ["embed_tokens", "v_proj"], "r": 3},
    "head": {"target_modules": ["lm_head", "o_proj"]},
    "whole head": {"modules_to_save": ["lm_head"]},
    "whole embedding and norms": {"modules_to_save": ["embed_tokens", "norm"]},
    "negative alpha": {"lora_alpha": -3},
}


@pytest.mark.parametrize("case", CASES)
def test_deltas_are_those_of_pefts_merge(case: str, tmp_path: Path) -> None:
    base = Checkpoint(saved(llama(), tmp_path / "base"))
    expert = open_experts([lora(tmp_path / "expert", **CASES[case])])[0]
    expected = merged_by_peft(llama(), tmp_path / "expert")
    check_experts(base, [expert])
    check(base, expert, expected)
    factored = {name for name in base.tensors if isinstance(delta(base, expert, name), LowRank)}
    replaced = {name for name in base.tensors if base.tensors[name].elements and len(base.tensors[name].shape) == 2}
    whole = {name for name in replaced if any(module in name for module in CASES[case].get("modules_to_save", []))}
    assert factored == replaced - whole


@pytest.mark.parametrize("bias", ["all", "lora_only"])
def test_trained_biases(bias: str, tmp_path: Path) -> None:
    def model() -> Any:
        return llama(attention_bias=True, mlp_bias=True)

    base = Checkpoint(saved(model(), tmp_path / "base"))
    config = LoraConfig(r=2, target_modules=["q_proj", "down_proj"], bias=bias)
    expert = open_experts([adapter(model(), tmp_path / "expert", config)])[0]
    check_experts(base, [expert])
    check(base, expert, merged_by_peft(model(), tmp_path / "expert"))
    assert delta(base, expert, "model.layers.0.self_attn.q_proj.bias").any()
    assert delta(base, expert, "model.layers.0.self_attn.k_proj.bias").any() == (bias == "all")


@pytest.mark.parametrize("targets", [["c_attn", "c_proj"], ["c_proj", "lm_head"]])
def test_conv1d_is_stored_transposed(targets: list[str], tmp_path: Path) -> None:
    # With a linear head PEFT leaves fan_in_fan_out false; c_proj of the attention is square.
    def model() -> Any:
        return gpt2(tie_word_embeddings="lm_head" not in targets)

    base = Checkpoint(saved(model(), tmp_path / "base"))
    config = LoraConfig(r=2, target_modules=targets, fan_in_fan_out=True)
    expert = open_experts([adapter(model(), tmp_path / "expert", config)])[0]
    expected = merged_by_peft(model(), tmp_path / "expert")
    transposed = {name: role.transposed for name, role in roles(base).items()}
    check_experts(base, [expert])
    for name in base.tensors:
        found = dense(delta(base, expert, name, transposed=transposed[name]))
        torch.testing.assert_close(found, expected[name], rtol=0, atol=1e-6)
    if "lm_head" not in targets:
        check(base, expert, expected)  # the adapter's own settings say it too
    write_task_vector(base, expert, tmp_path / "vector")
    check(base, open_experts([tmp_path / "vector"])[0], expected)


def test_a_base_without_the_prefix_of_its_head(tmp_path: Path) -> None:
    saved(gpt2(), tmp_path / "full")
    expert = open_experts([adapter(gpt2(), tmp_path / "e", LoraConfig(r=2, target_modules=["c_attn"]))])[0]
    expected = merged_by_peft(gpt2(), tmp_path / "e")
    weights = load_file(tmp_path / "full" / "model.safetensors")
    bare = {name.removeprefix("transformer."): weight for name, weight in weights.items()}
    shutil.copytree(tmp_path / "full", tmp_path / "bare")
    save_file(bare, tmp_path / "bare" / "model.safetensors", {"format": "pt"})
    base = Checkpoint(tmp_path / "bare")
    check_experts(base, [expert])
    check(base, expert, {name: expected[f"transformer.{name}"] for name in bare})


def test_an_adapter_of_the_model_without_head(tmp_path: Path) -> None:
    base = Checkpoint(saved(llama(), tmp_path / "base"))
    model = LlamaModel.from_pretrained(tmp_path / "base")
    expert = open_experts([adapter(model, tmp_path / "e", LoraConfig(r=2, target_modules=["q_proj"]))])[0]
    expected = merged_by_peft(LlamaModel.from_pretrained(tmp_path / "base"), tmp_path / "e")
    check_experts(base, [expert])
    for name in base.tensors:
        own = expected.get(name.removeprefix("model."), torch.zeros(base.tensors[name].shape))
        torch.testing.assert_close(dense(delta(base, expert, name)), own, rtol=0, atol=1e-6)


def test_low_precision_on_either_side(tmp_path: Path) -> None:
    base = Checkpoint(saved(llama().bfloat16(), tmp_path / "base"))
    # The adapter's file holds the embedding of its base too, here in the base's dtype.
    model = LlamaForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.bfloat16)
    config = LoraConfig(r=2, target_modules=["embed_tokens", "q_proj"])
    expert = open_experts([adapter(model, tmp_path / "e", config)])[0]
    own = {name: tensor.float() for name, tensor in load_file(tmp_path / "e" / FILE).items()}
    prefix = f"base_model.model.{Q.removesuffix('.weight')}"
    product = own[f"{prefix}.lora_B.weight"] @ own[f"{prefix}.lora_A.weight"] * (8 / 2)
    found = expert.delta(Q, base.read(Q).float())
    assert isinstance(found, LowRank) and found.left.dtype == torch.float32
    torch.testing.assert_close(found.dense(), product)
    embedding = "model.embed_tokens.weight"
    assert f"base_model.model.{embedding.removesuffix('.weight')}.base_layer.weight" in own
    assert isinstance(expert.delta(embedding, base.read(embedding).float()), LowRank)


def test_a_moved_embedding_below_its_factors(tmp_path: Path) -> None:
    base = Checkpoint(saved(llama(), tmp_path / "base"))
    lora(tmp_path / "e", target_modules=["embed_tokens"])
    tensors = load_file(tmp_path / "e" / FILE)
    tensors["base_model.model.model.embed_tokens.base_layer.weight"] += 0.5
    save_file(tensors, tmp_path / "e" / FILE)
    check(base, open_experts([tmp_path / "e"])[0], merged_by_peft(llama(), tmp_path / "e"))


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "dora": (lambda: LoraConfig(target_modules=["q_proj"], use_dora=True), "use_dora is True"),
    "trainable tokens": (
        lambda: LoraConfig(target_modules=["q_proj"], trainable_token_indices=[1]),
        r"trainable_token_indices is \[1\]",
    ),
    "pissa": (lambda: LoraConfig(target_modules=["q_proj"], init_lora_weights="pissa"), "init_lora_weights is 'pissa'"),
    "olora": (lambda: LoraConfig(target_modules=["q_proj"], init_lora_weights="olora"), "init_lora_weights is 'olora'"),
    "ia3": (lambda: IA3Config(target_modules=["q_proj"], feedforward_modules=[]), "peft_type is 'IA3', takes 'LORA'"),
    "loha": (lambda: LoHaConfig(target_modules=["q_proj"]), "peft_type is 'LOHA'"),
    "prompt": (lambda: PromptTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM"), "peft_type is 'PROMPT_TUNING'"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_adapters_are_refused(kind: str, tmp_path: Path) -> None:
    config, says = REFUSED[kind]
    base = Checkpoint(saved(llama(), tmp_path / "base"))
    expert = open_experts([adapter(llama(), tmp_path / "expert", config())])[0]
    with pytest.raises(WudiError, match=says) as caught:
        write_task_vector(base, expert, tmp_path / "vector")
    assert str(tmp_path / "expert") in str(caught.value)
    assert "merge_and_unload" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "vector").exists()


def test_biases_of_factors_are_refused(tmp_path: Path) -> None:
    base = Checkpoint(saved(llama(attention_bias=True), tmp_path / "base"))
    config = LoraConfig(target_modules=["q_proj"], lora_bias=True)
    expert = open_experts([adapter(llama(attention_bias=True), tmp_path / "expert", config)])[0]
    with pytest.raises(WudiError, match="lora_bias is True"):
        check_experts(base, [expert])


def test_adapted_parameters_are_refused(tmp_path: Path) -> None:
    base = Checkpoint(saved(llama(), tmp_path / "base"))
    config = LoraConfig(r=2, target_modules=[], target_parameters=["mlp.gate_proj.weight"])
    expert = open_experts([adapter(llama(), tmp_path / "expert", config)])[0]
    with pytest.raises(WudiError, match="target_parameters is"):
        check_experts(base, [expert])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"r": 0}, "r is 0, takes a whole number of at least 1"),
        ({"r": None}, "r is None"),
        ({"lora_alpha": "16"}, "lora_alpha is '16', takes a number"),
        ({"rank_pattern": {"q_proj": 1.5}}, "rank_pattern.q_proj is 1.5"),
        ({"rank_pattern": ["q_proj"]}, "takes patterns with their numbers"),
        ({"alpha_pattern": {"(": 3}}, r"alpha_pattern has '\(', which is no pattern"),
        ({"r": 3}, r"factors of model.layers.0.mlp.down_proj.weight have shapes \[16, 2\] and \[2, 24\].*\[out, 3\]"),
        ({"layer_replication": [[0, 1]]}, "layer_replication is"),
    ],
)
def test_settings_without_a_meaning(settings: dict[str, Any], says: str, tmp_path: Path) -> None:
    base = Checkpoint(saved(llama(), tmp_path / "base"))
    file = lora(tmp_path / "expert") / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    with pytest.raises(WudiError, match=says):
        check_experts(base, open_experts([tmp_path / "expert"]))


NAME = f"base_model.model.{Q.removesuffix('.weight')}"


def edited(folder: Path, change: Callable[[dict[str, Tensor]], Any]) -> Path:
    tensors = load_file(folder / FILE)
    change(tensors)
    save_file(tensors, folder / FILE)
    return folder


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop(f"{NAME}.lora_A.weight"), f"has {NAME}.lora_B.weight, but not lora_A of the same module"),
        (lambda t: t.pop(f"{NAME}.lora_B.weight"), f"has {NAME}.lora_A.weight, but not lora_B of the same module"),
        (
            lambda t: t.update({"base_model.model.model.layers.9.mlp.up_proj.lora_A.weight": torch.zeros(2, 16)}),
            "has tensor base_model.model.model.layers.9.mlp.up_proj.lora_A.weight, which has no place in the base",
        ),
        (
            lambda t: t.update({f"{NAME}.lora_A.weight": torch.zeros(2, 14)}),
            f"factors of {Q} multiply to shape [16, 14], the base's has [16, 16]",
        ),
        (
            lambda t: t.update({f"{NAME}.lora_A.weight": torch.zeros(4, 16)}),
            f"factors of {Q} have shapes [16, 2] and [4, 16]",
        ),
        (
            lambda t: t.update({"base_model.model.lm_head.weight": torch.zeros(41, 16)}),
            "tensor lm_head.weight has shape [41, 16], the base's has [40, 16]",
        ),
        (
            lambda t: t.update({"base_model.model.lm_head.weight": torch.zeros(40, 16, dtype=torch.int8)}),
            "tensor base_model.model.lm_head.weight is I8, the base's is F32",
        ),
        (lambda t: t.update({f"{NAME}.lora_magnitude_vector": torch.ones(16)}), "lora_magnitude_vector, which has no"),
    ],
)
def test_files_that_do_not_fit_the_base(change: Any, says: str, tmp_path: Path) -> None:
    base = Checkpoint(saved(llama(), tmp_path / "base"))
    expert = open_experts([edited(lora(tmp_path / "expert"), change)])[0]
    with pytest.raises(WudiError) as caught:
        check_experts(base, [expert])
    assert f"expert expert: {says}" in str(caught.value) or says in str(caught.value), str(caught.value)


@pytest.mark.parametrize("factor", ["lora_A", "lora_B"])
def test_nan_names_the_expert_and_the_tensor(factor: str, tmp_path: Path) -> None:
    base = Checkpoint(saved(llama(), tmp_path / "base"))
    edited(lora(tmp_path / "bad"), lambda tensors: tensors[f"{NAME}.{factor}.weight"][0, 0].fill_(float("nan")))
    with pytest.raises(WudiError, match=rf"expert bad .*tensor {Q} holds NaN"):
        write_task_vector(base, open_experts([tmp_path / "bad"])[0], tmp_path / "vector")


def test_folders_that_are_no_adapter(tmp_path: Path) -> None:
    folder = lora(tmp_path / "expert")
    with pytest.raises(WudiError, match="is an adapter's weights without their scaling; name its folder"):
        Checkpoint(folder / FILE)
    shutil.copytree(folder, tmp_path / "both")
    saved(llama(), tmp_path / "both")
    with pytest.raises(WudiError, match=r"holds model\.safetensors beside adapter_config\.json"):
        Checkpoint(tmp_path / "both")
    torch.save(load_file(folder / FILE), folder / "adapter_model.bin")
    (folder / FILE).unlink()
    with pytest.raises(WudiError, match="is a pickle, which can run code"):
        Checkpoint(folder)


def test_an_adapter_is_no_base(tmp_path: Path) -> None:
    folders = [lora(tmp_path / "one"), lora(tmp_path / "two", seed=2)]
    with pytest.raises(WudiError, match="is a PEFT adapter; name the model that it was trained on"):
        check_experts(Checkpoint(folders[0]), open_experts(folders[1:]))


def hashes(folder: Path) -> dict[str, str]:
    return {name: file_sha256(file) for name, file in Checkpoint(folder).paths.items()}


def test_the_settings_are_among_the_hashed_inputs(tmp_path: Path) -> None:
    file = lora(tmp_path / "expert") / "adapter_config.json"
    before = hashes(tmp_path / "expert")
    config = json.loads(file.read_text())
    file.write_text(json.dumps(config | {"lora_alpha": 50, "base_model_name_or_path": "nobody/nothing"}))
    after = hashes(tmp_path / "expert")
    assert {name for name in before if before[name] != after[name]} == {"adapter_config.json"}
    assert before.keys() == {FILE, "adapter_config.json"}
    check_experts(Checkpoint(saved(llama(), tmp_path / "base")), open_experts([tmp_path / "expert"]))


def test_the_task_vector_keeps_the_factors(tmp_path: Path) -> None:
    base = Checkpoint(saved(llama(), tmp_path / "base"))
    expert = open_experts([lora(tmp_path / "expert", modules_to_save=["norm"])])[0]
    summary = write_task_vector(base, expert, tmp_path / "vector")
    again = write_task_vector(base, expert, tmp_path / "again")
    assert summary == again
    files = {file.name: file.read_bytes() for file in (tmp_path / "vector").iterdir()}
    assert files == {file.name: file.read_bytes() for file in (tmp_path / "again").iterdir()}
    assert files.keys() == {"model.safetensors", "summary.json"}

    names = load_file(tmp_path / "vector" / "model.safetensors").keys()
    projections = [
        f"model.layers.{n}.{module}.weight" for n in (0, 1) for module in ("self_attn.q_proj", "mlp.down_proj")
    ]
    norms = [
        "model.norm.weight",
        *(f"model.layers.{n}.{place}_layernorm.weight" for n in (0, 1) for place in ("input", "post_attention")),
    ]
    assert names == {*(name + side for name in projections for side in (".left", ".right")), *norms}

    vector = open_experts([tmp_path / "vector"])[0]
    assert vector.is_task_vector and vector.is_factored
    check_experts(base, [vector])
    for name in base.tensors:
        one, other = delta(base, expert, name), delta(base, vector, name)
        assert type(one) is type(other)
        assert torch.equal(dense(one), dense(other)), name
    write_task_vector(base, vector, tmp_path / "vector of vector")
    assert (tmp_path / "vector of vector" / "model.safetensors").read_bytes() == files["model.safetensors"]


def test_the_task_vector_is_small(tmp_path: Path) -> None:
    base = saved(llama(hidden_size=128, intermediate_size=256), tmp_path / "base")
    config = LoraConfig(r=2, target_modules="all-linear")
    adapter(LlamaForCausalLM.from_pretrained(base), tmp_path / "expert", config)
    write_task_vector(Checkpoint(base), open_experts([tmp_path / "expert"])[0], tmp_path / "vector")
    size = (tmp_path / "vector" / "model.safetensors").stat().st_size
    assert size < 0.1 * (base / "model.safetensors").stat().st_size
    assert size < 1.2 * (tmp_path / "expert" / FILE).stat().st_size


def test_a_factored_task_vector_that_does_not_fit(tmp_path: Path) -> None:
    base = Checkpoint(saved(llama(), tmp_path / "base"))
    write_task_vector(base, open_experts([lora(tmp_path / "expert")])[0], tmp_path / "vector")
    file = tmp_path / "vector" / "model.safetensors"
    metadata = Checkpoint(tmp_path / "vector").metadata
    tensors = load_file(file)
    save_file({name: tensor for name, tensor in tensors.items() if name != f"{Q}.right"}, file, metadata)
    with pytest.raises(WudiError, match=rf"has tensor {Q}.left, which the base has not"):
        check_experts(base, open_experts([tmp_path / "vector"]))
    save_file({**tensors, f"{Q}.right": torch.zeros(2, 15)}, file, metadata)
    with pytest.raises(WudiError, match=rf"tensor {Q} has shape \[16, 15\], the base's has \[16, 16\]"):
        check_experts(base, open_experts([tmp_path / "vector"]))


def test_the_summary_is_that_of_the_merged_expert(tmp_path: Path) -> None:
    base = Checkpoint(saved(llama(), tmp_path / "base"))
    lora(tmp_path / "expert", modules_to_save=["lm_head"])
    merged = PeftModel.from_pretrained(llama(), tmp_path / "expert").merge_and_unload()
    saved(merged, tmp_path / "dense")
    factored, whole = (
        write_task_vector(base, expert, tmp_path / f"{expert.name}.vector")
        for expert in open_experts([tmp_path / "expert", tmp_path / "dense"])
    )
    assert factored["norm"] == pytest.approx(whole["norm"], rel=1e-5)
    assert factored["tensors"].keys() == whole["tensors"].keys() == base.tensors.keys()
    for name, entry in factored["tensors"].items():
        assert entry.keys() == whole["tensors"][name].keys()
        assert {key: entry[key] for key in entry if key != "kind"} == pytest.approx(
            {key: value for key, value in whole["tensors"][name].items() if key != "kind"}, rel=1e-4, abs=1e-6
        )
    assert factored["tensors"][Q]["stable_rank"] > 1
    assert factored["tensors"]["model.layers.0.self_attn.k_proj.weight"]["stable_rank"] == 0.0
    assert "stable_rank" not in factored["tensors"]["model.norm.weight"]
    assert factored["tensors"]["model.norm.weight"]["relative_norm"] == 0.0


@pytest.mark.parametrize("shape", [(6, 10), (10, 6), (7, 7), (1, 5), (1100, 1030)])
def test_stable_rank(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    exact = float(matrix.square().sum() / torch.linalg.matrix_norm(matrix, ord=2).square())
    tolerance = 0.05 if min(shape) > 1024 else 1e-5  # a flat spectrum is a power iteration's hardest
    for factor in (1.0, 1e-25, 1e15):
        assert stable_rank(matrix * factor) == pytest.approx(exact, rel=tolerance)
    assert stable_rank(torch.zeros(shape)) == 0.0
    rank_one = matrix[:, :1] @ matrix[:1]
    assert stable_rank(rank_one) == pytest.approx(1.0, abs=1e-5)


def test_sizes_of_factors_are_those_of_their_product() -> None:
    generator = torch.Generator().manual_seed(0)
    product = LowRank(torch.randn(30, 4, generator=generator), torch.randn(4, 20, generator=generator))
    assert frobenius(product) == pytest.approx(frobenius(product.dense()), rel=1e-5)
    assert stable_rank(product) == pytest.approx(stable_rank(product.dense()), rel=1e-5)
    zero = LowRank.zero((30, 20), like=product.left)
    assert (frobenius(zero), stable_rank(zero)) == (0.0, 0.0)
    assert stable_rank(LowRank(torch.zeros(30, 4), product.right)) == 0.0


def test_an_adapter_merges_with_a_dense_expert(tmp_path: Path) -> None:
    base = saved(llama(), tmp_path / "base")
    lora(tmp_path / "adapter")
    other = llama()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter += torch.randn(parameter.shape, generator=generator) * 0.1
    saved(other, tmp_path / "dense")
    folders = [str(base), str(tmp_path / "adapter"), str(tmp_path / "dense")]
    main(["merge", *folders, "--method=average", f"--out={tmp_path / 'out'}", "--device=cpu"])
    merged, weights = load_file(tmp_path / "out" / "model.safetensors"), load_file(base / "model.safetensors")
    one, two = merged_by_peft(llama(), tmp_path / "adapter"), load_file(tmp_path / "dense" / "model.safetensors")
    for name, weight in weights.items():
        expected = weight + (one[name] + two[name] - weight) / 2
        torch.testing.assert_close(merged[name], expected, rtol=0, atol=1e-6)
    write_task_vector(Checkpoint(base), open_experts([tmp_path / "adapter"])[0], tmp_path / "vector")
    folders[1] = str(tmp_path / "vector")
    main(["merge", *folders, "--method=average", f"--out={tmp_path / 'by vector'}", "--device=cpu"])
    files = [tmp_path / out / "model.safetensors" for out in ("out", "by vector")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_reading_an_adapter_takes_no_peft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = Checkpoint(saved(llama(), tmp_path / "base"))
    lora(tmp_path / "expert")
    monkeypatch.setitem(sys.modules, "peft", None)
    write_task_vector(base, open_experts([tmp_path / "expert"])[0], tmp_path / "vector")
