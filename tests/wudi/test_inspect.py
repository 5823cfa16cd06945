"""`wudi inspect`: what it says of a model, and of several."""

import json
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch
from safetensors.torch import save_file

from tests.conftest import CONFIG, moved, random_tensors, write_model
from tests.wudi.range_hub import RangeHub
from wudi.cli import main
from wudi.inspection import readable

Q = "model.layers.0.self_attn.q_proj.weight"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = write_model(tmp_path / "base", random_tensors(0), shards=3)
    vocabulary = {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}}, "added_tokens": [{"content": "<s>"}]}
    (folder / "tokenizer.json").write_text(json.dumps(vocabulary))
    (folder / "tokenizer_config.json").write_text('{"chat_template": "x"}')
    return folder


def inspected(capsys: pytest.CaptureFixture[str], *arguments: Path | str) -> tuple[int, str]:
    """The exit status and what was printed."""
    status: int | str | None = 0
    try:
        main(["inspect", *map(str, arguments)])
    except SystemExit as end:
        status = end.code
    assert isinstance(status, int), status
    return status, capsys.readouterr().out


def in_json(capsys: pytest.CaptureFixture[str], *arguments: Path | str) -> tuple[int, Any]:
    status, out = inspected(capsys, *arguments, "--json")
    return status, json.loads(out)


def facts_of(out: str) -> dict[str, str]:
    """The facts that stand in two columns at the top."""
    lines = out.partition("\n\n")[0].splitlines()
    return {line[:15].strip(): line[15:].strip() for line in lines}


def test_one_model(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = inspected(capsys, base)
    found = facts_of(out)
    assert status == 0
    assert found["source"] == str(base)
    assert {label: found[label] for label in ("layers", "hidden size", "vocabulary rows", "tokenizer", "head")} == {
        "layers": "1",
        "hidden size": "16",
        "vocabulary rows": "24",
        "tokenizer": "3 tokens",
        "head": "own",
    }
    _, content = in_json(capsys, base)
    assert content.keys() == {"models"}
    (model,) = content["models"]
    tensors = random_tensors(0).values()
    assert model["parameters"] == sum(tensor.numel() for tensor in tensors)
    assert model["dtypes"] == {"F32": model["parameters"]}
    assert model["files"] == 3 and model["chat_template"] and model["bytes"] == 4 * model["parameters"]


def test_every_tensor_is_listed(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = inspected(capsys, base, "--tensors")
    listed = [line.split(maxsplit=2) for line in out.splitlines()[-len(random_tensors(0)) :]]
    assert status == 0
    assert listed == [[name, "F32", str(list(tensor.shape))] for name, tensor in sorted(random_tensors(0).items())]
    _, content = in_json(capsys, base, "--tensors")
    assert content["models"][0]["tensors"][Q] == {"dtype": "F32", "shape": [16, 16]}


def test_models_that_can_be_merged(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expert = write_model(tmp_path / "expert", moved(random_tensors(0), 1))
    status, out = inspected(capsys, base, expert)
    assert status == 0
    assert out.rstrip().endswith("these can be merged")
    assert facts_of(out)["layers"] == "1"
    assert "\nfiles          " in out and "\nlayers" not in out.partition("\n\n")[2]
    status, content = in_json(capsys, base, expert)
    assert (status, content["mergeable"], content["problems"]) == (0, True, [])


def test_models_that_cannot_be_merged(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = moved(random_tensors(0), 1)
    fine = write_model(tmp_path / "a" / "expert", tensors)
    (fine / "config.json").write_text(json.dumps({**json.loads(CONFIG), "rope_theta": 5.0}))
    wrong = write_model(tmp_path / "b" / "expert", {**tensors, Q: torch.ones(8, 16)})
    status, out = inspected(capsys, base, fine, wrong)
    assert status == 1
    assert f"these cannot be merged:\n  expert b/expert: tensor {Q} has shape [8, 16], the base's has [16, 16]\n" in out
    status, content = in_json(capsys, base, fine, wrong)
    assert (status, content["mergeable"]) == (1, False)
    assert [(problem["expert"], "shape" in problem["text"]) for problem in content["problems"]] == [("b/expert", True)]
    assert [model["name"].rpartition("/")[2] for model in content["models"]] == ["base", "expert", "expert"]


def test_an_adapter(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    start = f"base_model.model.{Q.removesuffix('.weight')}"
    factors = {f"{start}.lora_A.weight": torch.ones(2, 16), f"{start}.lora_B.weight": torch.ones(16, 2)}
    save_file(factors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": "someone/base"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    status, out = inspected(capsys, folder)
    found = facts_of(out)
    expected = {"kind": "LoRA adapter", "rank": "2", "alpha": "4", "adapts": "q_proj", "trained on": "someone/base"}
    assert status == 0 and found.items() >= expected.items()
    status, out = inspected(capsys, base, folder)
    assert status == 0 and "these can be merged" in out


def test_heads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, (stored, tied, says) in enumerate(
        [(True, False, "own"), (True, True, "stored, though tied"), (False, True, "tied to the embedding")]
    ):
        tensors = {name: tensor for name, tensor in random_tensors(0).items() if stored or name != "lm_head.weight"}
        folder = write_model(tmp_path / str(number), tensors)
        (folder / "config.json").write_text(json.dumps({**json.loads(CONFIG), "tie_word_embeddings": tied}))
        assert facts_of(inspected(capsys, folder)[1])["head"] == says


def test_the_hub_sends_no_byte_of_a_weight(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with RangeHub() as hub:
        monkeypatch.setitem(fsspec.config.conf, "hf", {"endpoint": hub.url, "token": False})
        expert = write_model(tmp_path / "expert", moved(random_tensors(0), 1))
        hub.folders = {"someone/base": base, "someone/expert": expert}
        status, far = in_json(capsys, "someone/base", "someone/expert@main")
        assert hub.weight_bytes_sent() == 0
        _, near = in_json(capsys, base, expert)
        ignored = {"source", "name"}
        assert status == 0
        for one, other in zip(far["models"], near["models"], strict=True):
            assert {key: one[key] for key in one.keys() - ignored} == {key: other[key] for key in one.keys() - ignored}
        with pytest.raises(SystemExit) as caught:
            main(["inspect", "someone/nothing", "someone/base@v9", "./nowhere"])
        assert len(str(caught.value.code).splitlines()) == 3


def test_a_model_that_is_named_twice(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = inspected(capsys, base, base)
    assert status == 1
    assert "is the base" in out and "name a checkpoint that was fine-tuned from it" in out


def test_sizes_are_readable() -> None:
    assert [readable(size) for size in (12, 3120, 4_500_000, 26_030_000_000)] == [
        "12 B",
        "3.12 kB",
        "4.50 MB",
        "26.03 GB",
    ]


def test_models_that_cannot_be_read_do_not_hide_the_others(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write_model(tmp_path / "good", moved(random_tensors(0), 1))
    broken = write_model(tmp_path / "broken", moved(random_tensors(0), 2))
    (broken / "model.safetensors").write_bytes(b"short")
    status, found = in_json(capsys, base, good, broken)
    assert status == 1
    assert [model["name"] for model in found["models"]] == ["base", "good"]
    [problem] = found["problems"]
    assert problem["expert"] == "broken" and "not a sound safetensors file" in problem["text"]
