"""Checkpoints as they are found: odd names and tensors, caches of links, damaged files, one tensor and thousands."""

import hashlib
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.conftest import moved, random_tensors, write_model
from tests.wudi.merges import Trio, all_tensors, bare_files, contents, interrupted, nothing_written, run, run_command
from tests.wudi.odd_models import BUFFERS, DTYPES, SHAPES, odd_tensors, odd_trio
from wudi import WudiError
from wudi.checkpoint import Checkpoint
from wudi.verification import verify

AVERAGE = {"method": "average"}
NAMES = ["two words", 'it\'s "quoted"', "-rf", "--out", "ünïcode ✓ 模型", "a=b", "a\nb", "*", "x" * 200]


def test_every_kind_of_tensor(tmp_path: Path) -> None:
    trio = odd_trio(tmp_path / "models")
    base, *experts = (odd_tensors(seed) for seed in range(4))
    for dtype in (None, torch.float32, torch.bfloat16, torch.float16):
        given = "auto" if dtype is None else str(dtype).removeprefix("torch.")
        merged = load_file(run(*trio, tmp_path / given, AVERAGE, dtype=given).out / "model.safetensors")
        assert merged.keys() == base.keys()
        for name in SHAPES:
            wide = torch.promote_types(base[name].dtype, torch.float32)
            deltas = [expert[name].float() - base[name].float() for expert in experts]
            exact = base[name].to(wide) + torch.stack(deltas).mean(dim=0)
            assert merged[name].dtype == (dtype or DTYPES.get(name, torch.float32))
            torch.testing.assert_close(merged[name], exact.to(merged[name].dtype), msg=name)
        for name in BUFFERS:
            assert torch.equal(merged[name], base[name])


@pytest.mark.parametrize(
    "tensor", [torch.randn(6, 4), torch.randn(5), torch.randn(())], ids=["matrix", "row", "scalar"]
)
def test_a_model_of_one_tensor(tensor: Tensor, tmp_path: Path) -> None:
    name = "layers.0.up.weight"
    trio = bare_files(tmp_path / "models", [{name: tensor}, {name: tensor + 1}, {name: tensor + 3}])
    for number, recipe in enumerate([{"method": "average", "rest": "method"}, {"method": "ties", "rest": "method"}]):
        merged = load_file(run(*trio, tmp_path / f"{number}", recipe).out / "model.safetensors")
        assert merged[name].shape == tensor.shape
    if tensor.dim() < 2:
        with pytest.raises(WudiError, match="no tensor of the base is known as a linear weight"):
            run(*trio, tmp_path / "out", {"method": "wudi"})


def test_a_model_of_thousands_of_tensors(tmp_path: Path) -> None:
    names = [f"model.layers.{number // 100}.part_{number % 100}.up_proj.weight" for number in range(3_000)]
    models = [{name: torch.full((2, 2), float(seed)) for name in names} for seed in range(3)]
    trio = bare_files(tmp_path / "models", models)
    merged = load_file(run(*trio, tmp_path / "out", AVERAGE).out / "model.safetensors")
    assert all(torch.equal(merged[name], torch.full((2, 2), 1.5)) for name in names)


@pytest.mark.parametrize("name", NAMES)
def test_names_of_folders(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = random_tensors(0)
    folder = tmp_path / f"of {name}"
    trio = write_model(folder / "base", base, shards=2), [write_model(folder / name, moved(base, 1))]
    interrupted(trio, folder / f"{name}out", AVERAGE, 7)
    out = run(*trio, folder / f"{name}out", AVERAGE).out
    assert name in json.loads((out / "merge.json").read_text())["experts"]
    assert not verify(out, base=trio[0], experts={name: trio[1][0]}).differences
    monkeypatch.chdir(folder)
    run_command(Path("base"), [Path(name) if name[0] != "-" else folder / name], Path("command"), "--method=average")
    assert contents(folder / "command") == contents(out)


def test_a_cache_of_links(trio: Trio, tmp_path: Path) -> None:
    """As the Hub's client keeps it: the files of a snapshot are links to blobs that are named by their hashes."""
    base, experts = trio
    cached = []
    for folder in (base, *experts):
        snapshot, blobs = tmp_path / "hub" / folder.name / "snapshots" / "abc", tmp_path / "hub" / folder.name / "blobs"
        snapshot.mkdir(parents=True)
        blobs.mkdir()
        for file in folder.iterdir():
            blob = blobs / hashlib.sha256(file.read_bytes()).hexdigest()
            file.rename(blob)
            (snapshot / file.name).symlink_to(os.path.relpath(blob, snapshot))
        cached.append(snapshot)
    out = run(cached[0], cached[1:], tmp_path / "out", AVERAGE).out
    assert not any(file.is_symlink() for file in out.iterdir())
    record = json.loads((out / "merge.json").read_text())
    assert record["experts"].keys() == {f"expert{number}/snapshots/abc" for number in (1, 2, 3)}
    assert (cached[0] / "config.json").is_symlink()
    with pytest.raises(WudiError, match="is or holds the input"):
        run(cached[0], cached[1:], tmp_path / "hub" / "base", AVERAGE, overwrite=True)


def rewritten_header(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def rewrite(file: Path) -> None:
        data = file.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        change(header)
        text = json.dumps(header).encode()
        file.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])

    return rewrite


def overlapping(header: dict[str, Any]) -> None:
    first, second = sorted((name for name in header if name != "__metadata__"), key=lambda n: header[n]["shape"])[:2]
    size = header[second]["data_offsets"][1] - header[second]["data_offsets"][0]
    begin = header[first]["data_offsets"][0]
    header[second]["data_offsets"] = [begin, begin + size]


def with_a_hole(header: dict[str, Any]) -> None:
    name = min((name for name in header if name != "__metadata__"), key=lambda n: header[n]["data_offsets"])
    del header[name]


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5])


def longer(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"12345")


def beheaded(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:40])


DAMAGES = {
    "truncated": (truncated, "bytes, but its header describes"),
    "longer": (longer, "bytes, but its header describes"),
    "beheaded": (beheaded, "names a header of"),
    "empty": (lambda file: file.write_bytes(b""), "has 0 bytes"),
    "overlapping": (rewritten_header(overlapping), "begins at byte"),
    "hole": (rewritten_header(with_a_hole), "begins at byte"),
    "missing": (Path.unlink, "names files that are not there"),
    "a folder": (lambda file: (file.unlink(), file.mkdir()), "names files that are not there"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("which", ["base", "expert"])
def test_damaged_files_are_refused_by_name(which: str, damage: str, tmp_path: Path) -> None:
    change, says = DAMAGES[damage]
    base = write_model(tmp_path / "base", random_tensors(0), shards=3)
    expert = write_model(tmp_path / "expert", moved(random_tensors(0), 1), shards=3)
    file = tmp_path / which / "model-00002-of-00003.safetensors"
    change(file)
    with pytest.raises(SystemExit) as caught:
        run_command(base, [expert], tmp_path / "out", "--method=average")
    told = str(caught.value.code)
    assert file.name in told and str(file.parent) in told and says in told and "\n" not in told
    assert nothing_written(tmp_path / "out")


def test_an_index_that_disagrees_with_its_files(trio: Trio, tmp_path: Path) -> None:
    base, experts = trio
    file = base / "model.safetensors.index.json"
    index = json.loads(file.read_text())
    wrong = {
        "names another file for": {**index["weight_map"], "lm_head.weight": "model-00003-of-00003.safetensors"},
        "has one too many": {**index["weight_map"], "extra.weight": "model-00001-of-00003.safetensors"},
        "has one too few": {name: shard for name, shard in index["weight_map"].items() if name != "lm_head.weight"},
    }
    for weight_map in wrong.values():
        file.write_text(json.dumps({**index, "weight_map": weight_map}))
        with pytest.raises(WudiError, match=r"index.json: says that tensor (lm_head|extra).weight is in"):
            run(base, experts, tmp_path / "out", AVERAGE)
        assert nothing_written(tmp_path / "out")


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_eight_bits_are_refused(dtype: torch.dtype, trio: Trio, tmp_path: Path) -> None:
    base, experts = trio
    tensors = all_tensors(experts[1])
    tensors["lm_head.weight"] = tensors["lm_head.weight"].to(dtype)
    save_file(tensors, experts[1] / "model.safetensors", {"format": "pt"})
    with pytest.raises(WudiError, match=r"expert2.*before they are quantised"):
        run(base, experts, tmp_path / "out", AVERAGE)
    assert nothing_written(tmp_path / "out")


def test_all_that_makes_a_model_comes_along_and_loads(trio: Trio, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

    base, experts = trio
    tokenizer = Tokenizer(models.WordLevel({f"w{number}": number for number in range(24)}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="w0")
    fast.chat_template = "{% for m in messages %}{{ m.content }} {% endfor %}"
    fast.save_pretrained(base)
    out = run(base, experts, tmp_path / "out", AVERAGE, dtype="bfloat16").out
    beside = {"config.json", "generation_config.json", "model.safetensors.index.json", "README.md", "merge.json"}
    beside |= {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}
    shards = {file.name for file in base.glob("*.safetensors")}
    assert {file.name for file in out.iterdir()} == beside | shards
    for file in beside & {file.name for file in base.iterdir()} - {"config.json", "model.safetensors.index.json"}:
        assert (out / file).read_bytes() == (base / file).read_bytes()
    loaded = AutoTokenizer.from_pretrained(out)
    words = loaded.apply_chat_template([{"role": "user", "content": "w3 w5"}], return_tensors="pt", return_dict=False)
    model = AutoModelForCausalLM.from_pretrained(out)
    assert model.dtype == torch.bfloat16 and model.generation_config.eos_token_id == 1
    assert torch.isfinite(model(words).logits).all()
    assert Checkpoint(out).tensors.keys() == model.state_dict().keys()
    assert (out / "README.md").read_text().startswith("---\nlibrary_name: transformers")
