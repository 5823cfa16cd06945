"""What is found before a weight is read, here and over a network: every problem of every expert, in one error."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import CONFIG, random_tensors, write_model
from tests.wudi.changed_experts import EMBEDDING, HEAD, Q, Tensors, adapter, deeper, expert_of, found, problems, resized
from wudi.checkpoint import Checkpoint
from wudi.errors import WudiError
from wudi.experts import open_experts
from wudi.preflight import check_experts
from wudi.preflight.disk import lacking_room


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_model(tmp_path / "base", random_tensors(0))


def test_all_problems_of_all_experts_come_in_one_error(base: Path, tmp_path: Path) -> None:
    paths = [
        expert_of(tmp_path / "fine"),
        expert_of(tmp_path / "deep", deeper),
        expert_of(tmp_path / "rows", resized),
        expert_of(tmp_path / "less", lambda tensors: tensors.pop(Q)),
        expert_of(tmp_path / "other", model_type="mistral"),
    ]
    with pytest.raises(WudiError) as caught:
        check_experts(Checkpoint(base), open_experts(paths))
    assert str(caught.value).splitlines() == [
        "expert deep: has 2 layers, the base 1",
        f"expert rows: {HEAD} and {EMBEDDING} have 26 rows, the base's 24: its vocabulary has other tokens or other "
        "padding; `vocabulary: base` aligns it by token and drops what the base has not, `vocabulary: union` adds "
        "that to the base's",
        f"expert less: misses tensor {Q}",
        "expert other: its architecture is mistral, the base's is llama",
        "experts must be fine-tuned from the base that they are merged into",
    ]


def test_three_problems_of_a_kind_are_spelled_out(base: Path, tmp_path: Path) -> None:
    def wider(tensors: Tensors) -> None:
        tensors.update({name: torch.ones(*tensor.shape, 2) for name, tensor in tensors.items() if "layers" in name})
        del tensors[EMBEDDING]

    texts = problems(base, expert_of(tmp_path / "wide", wider, hidden_size=32))["wide"]
    assert texts[0] == "its hidden_size is 32, the base's 16"
    assert [text.partition(" model")[0] for text in texts[1:]] == [
        *["tensor"] * 3,
        "and 6 more of the kind",
        "misses tensor",
    ]


@pytest.mark.parametrize("name", ["model.layers.0.self_attn.q_norm.weight", "score.weight"])
def test_a_tensor_that_no_class_knows_is_neither_lost_nor_demanded(name: str, base: Path, tmp_path: Path) -> None:
    def more(tensors: Tensors) -> None:
        tensors[name] = torch.ones(16)

    both = expert_of(tmp_path / "two", more)
    assert problems(base, both) == {"two": [f"has tensor {name}, which the base has not"]}
    assert problems(both, base) == {"base": [f"misses tensor {name}"]}
    assert problems(both, expert_of(tmp_path / "three", more)) == {}


def test_what_a_model_computes_for_itself_may_be_missing(base: Path, tmp_path: Path) -> None:
    def older(tensors: Tensors) -> None:
        tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(2)
        tensors["model.embeddings.position_ids"] = torch.arange(3)

    old = expert_of(tmp_path / "old", older)
    assert problems(base, old) == problems(old, base) == {}


@pytest.mark.parametrize(
    ("change", "config", "says"),
    [
        (lambda t: t.update({Q: torch.ones(16, 16).char()}), {}, f"is quantised (tensor {Q} is I8); merge"),
        (lambda t: t.update({Q: torch.ones(16, 16).to(torch.float8_e4m3fn)}), {}, f"(tensor {Q} is F8_E4M3)"),
        (
            lambda t: t.update({Q.replace("weight", "qweight"): torch.ones(2, 16).int()}),
            {"quantization_config": {"quant_method": "gptq", "bits": 4}},
            "is quantised by gptq to 4 bits",
        ),
        (
            lambda t: t.update({Q: torch.ones(128, 1).byte()}),
            {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
            "is quantised by bitsandbytes to 4 bits",
        ),
    ],
)
def test_quantised_weights(change: Any, config: dict[str, Any], says: str, base: Path, tmp_path: Path) -> None:
    small = expert_of(tmp_path / "small", change, **config)
    (text,) = problems(base, small)["small"]
    assert says in text and "before they are quantised: name the checkpoint" in text
    assert says in problems(small, expert_of(tmp_path / "fine"))[""][0]


def test_a_quantisation_that_the_config_alone_names(base: Path, tmp_path: Path) -> None:
    trained = expert_of(tmp_path / "trained", quantization_config={"quant_method": "bitsandbytes"})
    assert not found(base, trained).problems
    assert [note.text for note in found(base, trained).notes] == [
        "its config.json names a quantisation (bitsandbytes), but its weights are not quantised"
    ]


def test_names_with_a_prefix_more_or_less(base: Path, tmp_path: Path) -> None:
    def headless(tensors: Tensors) -> None:
        renamed = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name != HEAD}
        tensors.clear()
        tensors.update(renamed)

    def wrapped(tensors: Tensors) -> None:
        renamed = {f"language_model.{name}": tensor for name, tensor in tensors.items()}
        tensors.clear()
        tensors.update({**renamed, "vision_tower.patch.weight": torch.ones(3, 3)})

    (text,) = problems(base, expert_of(tmp_path / "body", headless, architectures=["LlamaModel"]))["body"]
    assert text.startswith("names its tensors without the base's `model.`")
    assert text.endswith("as LlamaModel does; save it as LlamaForCausalLM, with its head")
    (text,) = problems(base, expert_of(tmp_path / "image", wrapped, model_type="llava"))["image"]
    assert text.startswith("has the base's tensors under `language_model.`")


def test_an_adapter_is_compared_by_its_layout_and_its_base_s_name(base: Path, tmp_path: Path) -> None:
    fits = adapter(tmp_path / "fits")
    other = adapter(tmp_path / "other", base_model_name_or_path="someone/another-7b")
    wrong = adapter(tmp_path / "wrong", module="model.layers.9.mlp.up_proj")
    dora = adapter(tmp_path / "dora", use_dora=True)
    findings = found(base, fits, other, wrong, dora)
    texts = {problem.expert: problem.text for problem in findings.problems}
    assert texts.keys() == {"wrong", "dora"}
    assert (
        "layers.9.mlp.up_proj.lora_A.weight, which has no place in the base; merge it into its base" in texts["wrong"]
    )
    assert "use_dora is True" in texts["dora"]
    assert [note.expert for note in findings.notes] == ["other"]
    assert "was trained on someone/another-7b" in findings.notes[0].text


def test_a_stray_tensor_is_no_layer(base: Path, tmp_path: Path) -> None:
    above = Q.replace("layers.0", "layers.1")
    stray = expert_of(tmp_path / "stray", lambda tensors: tensors.update({above: torch.ones(16, 16)}))
    assert problems(base, stray) == {"stray": [f"has tensor {above}, which the base has not"]}
    deep = expert_of(tmp_path / "deep", deeper)
    assert problems(deep, base) == {"base": ["has 1 layer, the base 2"]}


def test_what_cannot_be_read_beside_the_weights_is_a_note(base: Path, tmp_path: Path) -> None:
    expert = expert_of(tmp_path / "expert")
    (expert / "tokenizer_config.json").write_text("{")
    findings = found(base, expert)
    assert not findings.problems
    assert "tokenizer_config.json: not valid JSON" in findings.notes[0].text


def test_settings_that_differ_are_notes(base: Path, tmp_path: Path) -> None:
    expert = expert_of(
        tmp_path / "long", rope_theta=1e6, max_position_embeddings=64, rope_scaling={"rope_type": "yarn"}
    )
    config = json.loads(CONFIG)
    (base / "config.json").write_text(
        json.dumps({**config, "rope_parameters": {"rope_theta": 1e4, "rope_type": "default"}})
    )
    (expert / "chat_template.jinja").write_text("x")
    findings = found(base, expert)
    notes = " ".join(note.text for note in findings.notes)
    assert not findings.problems
    for words in ("rope_theta is 1000000.0, the base's 10000.0", "rope_scaling", "max_position_embeddings is 64"):
        assert words in notes
    assert "chat template" in notes


def test_the_room_on_a_disk_is_summed_up(tmp_path: Path) -> None:
    assert lacking_room({tmp_path / "a": 1, tmp_path / "b": 1}) == []
    (text,) = lacking_room({tmp_path / "a": 10**18, tmp_path / "b" / "c": 10**18})
    assert f"{tmp_path / 'a'}, {tmp_path / 'b' / 'c'}: needs 2000000000.00 GB" in text
