"""Pickles turned into safetensors: what comes out, and what survives an interruption."""

import json
import random
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.conftest import CONFIG, random_tensors
from tests.wudi.children import child
from tests.wudi.merges import Stop, all_tensors, contents
from tests.wudi.pickles import (
    EMBEDDING,
    HEAD,
    change_shard,
    converted,
    folder_of,
    one_file,
    same,
)
from wudi import WudiError
from wudi.checkpoint import Checkpoint
from wudi.cli import main
from wudi.convert import convert, prove


def llama(ties: bool = False) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    settings = {**json.loads(CONFIG), "tie_word_embeddings": ties}
    return LlamaForCausalLM(LlamaConfig(**settings))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("shards", [1, 3])
def test_transformers_loads_the_model_that_was_saved(shards: int, ties: bool, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = llama(ties)
    source = folder_of(tmp_path / "source", model.state_dict(), shards, ties)
    out = convert(source, tmp_path / "out").out
    loaded, report = AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
    assert not any(report.values())
    assert same(loaded.state_dict(), model.state_dict())
    assert (loaded.lm_head.weight is loaded.model.embed_tokens.weight) == ties
    assert [(out / name).read_text() for name in ("config.json", "README.md")] == [
        (source / name).read_text() for name in ("config.json", "README.md")
    ]
    assert not list(out.glob("*.bin")) and not list(tmp_path.glob("*.partial"))


SMALL = {"vocab_size": 24, "num_layers": 1, "n_layer": 1, "n_head": 2, "num_heads": 2, "n_embd": 16, "d_model": 16}
SMALL |= {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "d_ff": 32}


@pytest.mark.parametrize(
    ("config", "architecture"),
    [("GPT2Config", "GPT2LMHeadModel"), ("BertConfig", "BertForMaskedLM"), ("T5Config", "T5ForConditionalGeneration")],
)
def test_transformers_misses_none_of_the_weights_that_are_stored_once(
    config: str, architecture: str, tmp_path: Path
) -> None:
    import transformers

    torch.manual_seed(0)
    of_model = getattr(transformers, architecture)
    model = of_model(getattr(transformers, config)(**SMALL))
    source = tmp_path / "source"
    model.config.save_pretrained(source)
    torch.save(model.state_dict(), source / "pytorch_model.bin")
    (source / "config.json").write_text(json.dumps({**model.config.to_dict(), "architectures": [architecture]}))
    found = converted(source, tmp_path / "out")
    assert len(found) == len({tensor.data_ptr() for tensor in model.state_dict().values()})
    loaded, report = of_model.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(report.values())
    assert same(loaded.state_dict(), model.state_dict())


def test_shards_are_those_of_the_pickles(tmp_path: Path) -> None:
    tensors = random_tensors(0)
    source = folder_of(tmp_path / "source", tensors, shards=3)
    out = convert(source, tmp_path / "out").out
    index = json.loads((out / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in tensors.values())
    for number in (1, 2, 3):
        file = f"model-0000{number}-of-00003.safetensors"
        pickled = torch.load(source / f"pytorch_model-0000{number}-of-00003.bin", weights_only=True)
        assert same(load_file(out / file), pickled)
        assert {name for name, shard in index["weight_map"].items() if shard == file} == set(pickled)
    assert sorted(file.name for file in out.iterdir()) == sorted(
        ["README.md", "config.json", "generation_config.json", "model.safetensors.index.json"]
        + [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
    )
    assert same({name: Checkpoint(out).read(name) for name in tensors}, tensors)


@pytest.mark.parametrize("ties", [False, True])
def test_one_weight_of_two_names_is_stored_once_where_the_model_ties_them(ties: bool, tmp_path: Path) -> None:
    tensors = {**random_tensors(0), EMBEDDING: torch.ones(24, 16)}
    tensors[HEAD] = tensors[EMBEDDING]
    lines: list[str] = []
    source = folder_of(tmp_path / "source", tensors, ties=ties)
    found = all_tensors(convert(source, tmp_path / "out", say=lines.append).out)
    assert found.keys() == (tensors.keys() - {HEAD} if ties else tensors.keys())
    assert [HEAD in line for line in lines] == [True] * ties
    assert same(found, {name: tensors[name] for name in found})


def test_tied_weights_that_differ_are_both_kept(tmp_path: Path) -> None:
    storage = torch.arange(2.0 * 24 * 16)
    tensors = {EMBEDDING: storage[: 24 * 16].view(24, 16), HEAD: storage[24 * 16 :].view(24, 16)}
    source = folder_of(tmp_path / "source", {**random_tensors(0), **tensors}, ties=True)
    found = converted(source, tmp_path / "out")
    assert same({name: found[name] for name in tensors}, tensors)


def test_a_config_that_no_class_takes_is_no_obstacle(tmp_path: Path) -> None:
    tensors = {**random_tensors(0), HEAD: random_tensors(0)[EMBEDDING]}
    tensors[EMBEDDING] = tensors[HEAD]
    source = folder_of(tmp_path / "source", tensors, ties=True)
    (source / "config.json").write_text(CONFIG.replace('"hidden_size": 16', '"hidden_size": "abc"'))
    assert same(converted(source, tmp_path / "out"), tensors)


def test_views_of_a_bigger_storage_are_written_alone_and_whole(tmp_path: Path) -> None:
    storage = torch.randn(1000, 8)
    tensors = {
        "part": storage[3:5],
        "turned": storage[:4].T,
        "strided": storage[::7, 1],
        "overlapping": storage[4:6],
        "same": storage[3:5],
        "expanded": torch.ones(1).expand(3, 2),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
        "parameter": nn.Parameter(torch.randn(2)),
        "imaginary": torch.randn(3, dtype=torch.complex64).conj().imag,
    }
    out = tmp_path / "out"
    assert same(converted(one_file(tmp_path / "views.pt", tensors), out), tensors)
    assert (out / "model.safetensors").stat().st_size < 4096


DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16]
DTYPES += [torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool]
DTYPES += [torch.float8_e4m3fn, torch.float8_e5m2]


def test_every_dtype_keeps_its_bits(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for dtype in DTYPES:
        high = 2 if dtype == torch.bool else 256
        raw = torch.randint(0, high, (3, 8 * 5), generator=generator, dtype=torch.uint8)  # NaN and infinity among them
        tensors[str(dtype)] = raw.view(dtype)[:, 1:]
    found = converted(one_file(tmp_path / "model.bin", tensors), tmp_path / "out")
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name].view(torch.uint8), tensor.contiguous().view(torch.uint8)), name


def test_an_adapter_gives_what_its_pickle_gave(tmp_path: Path) -> None:
    from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict

    torch.manual_seed(1)
    model = get_peft_model(llama(), LoraConfig(r=2, target_modules=["q_proj", "up_proj"], init_lora_weights=False))
    source, out = tmp_path / "adapter", tmp_path / "out"
    model.peft_config["default"].save_pretrained(source)
    torch.save(get_peft_model_state_dict(model), source / "adapter_model.bin")
    convert(source, out)
    assert sorted(file.name for file in out.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    loaded = PeftModel.from_pretrained(llama(), out)
    assert same(get_peft_model_state_dict(loaded), get_peft_model_state_dict(model))
    assert Checkpoint(out).is_adapter


def test_nothing_is_replaced(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "source", random_tensors(0))
    before = contents(source)
    (tmp_path / "there").mkdir()
    for out, says in (("there", "exists already; name another"), ("source", "is or holds the input")):
        with pytest.raises(WudiError, match=says):
            convert(source, tmp_path / out)
    with pytest.raises(WudiError, match="is or holds the input"):
        convert(source, tmp_path)
    assert contents(source) == before


def test_no_room_on_the_disk(tmp_path: Path) -> None:
    """A tensor of a petabyte, which takes four bytes in the pickle."""
    path = one_file(tmp_path / "huge.bin", {"w": torch.ones(1).expand(1 << 24, 1 << 24)})
    with pytest.raises(WudiError, match=r"needs 1125899\.91 GB, but the disk has"):
        convert(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("where", [-1, -50, -100])
def test_a_file_that_differs_from_what_was_loaded_is_not_taken_for_equal(where: int, tmp_path: Path) -> None:
    tensors = {"a": torch.full((20,), float("nan")), "b": torch.zeros(3, dtype=torch.uint8)}
    file = convert(one_file(tmp_path / "model.bin", tensors), tmp_path / "out").out / "model.safetensors"
    prove(file, tensors)
    for other in ({"a": tensors["a"]}, {**tensors, "c": tensors["a"]}, {**tensors, "b": torch.zeros(3).bool()}):
        with pytest.raises(WudiError, match=r"tensor [bc] is not what was written"):
            prove(file, other)
    content = bytearray(file.read_bytes())
    content[where] ^= 1
    file.write_bytes(content)
    with pytest.raises(WudiError, match=r"not what was written|as it was written"):
        prove(file, tensors)


def stop_after(count: int) -> Any:
    def track(items: Sequence[Any], _: str) -> Iterable[Any]:
        for number, item in enumerate(items):
            if number == count:
                raise Stop
            yield item

    return track


@pytest.mark.parametrize("count", [0, 3, 4, 11])
def test_an_interrupted_conversion_goes_on_and_ends_in_the_same_bytes(count: int, tmp_path: Path) -> None:
    source, out = folder_of(tmp_path / "source", random_tensors(0), shards=3), tmp_path / "out"
    whole = contents(convert(source, tmp_path / "whole").out)
    with pytest.raises(Stop):
        convert(source, out, track=stop_after(count))
    assert not out.exists()
    done = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "out.partial").glob("*.safetensors")}
    assert len(done) == count // 4
    assert contents(convert(source, out).out) == whole
    assert all((out / name).stat().st_mtime_ns == stamp for name, stamp in done.items())


def test_work_on_other_pickles_is_not_taken_over(tmp_path: Path) -> None:
    source, out = folder_of(tmp_path / "source", random_tensors(0), shards=3), tmp_path / "out"
    with pytest.raises(Stop):
        convert(source, out, track=stop_after(9))
    change_shard(source, lambda tensors: [tensor.add_(1) for tensor in tensors.values()])
    assert contents(convert(source, out).out) == contents(convert(source, tmp_path / "fresh").out)


def convert_slowly(source: Path, out: Path) -> None:
    def track(items: Sequence[Any], _: str) -> Iterable[Any]:
        for item in items:
            time.sleep(0.1)
            yield item

    convert(source, out, track=track)


@pytest.mark.parametrize("seed", range(2))
def test_what_kill_9_leaves_under_the_name_is_whole_or_nothing(seed: int, tmp_path: Path) -> None:
    source, out = folder_of(tmp_path / "source", random_tensors(0), shards=4), tmp_path / "out"
    whole = contents(convert(source, tmp_path / "whole").out)
    instants = random.Random(seed)
    while not out.exists():
        process = child(convert_slowly, source, out)
        before = {file.name for file in tmp_path.glob("out.partial/*")}
        while process.is_alive() and {file.name for file in tmp_path.glob("out.partial/*")} == before:
            time.sleep(0.002)
        time.sleep(instants.uniform(0, 1))
        process.kill()  # which may have ended just now
        process.join()
    found = contents(out)
    found.pop("plan.json", None)  # where it was killed between the folder's name and its last breath
    assert found == whole


def test_what_was_killed_is_finished_by_the_next_run(tmp_path: Path) -> None:
    source, out = folder_of(tmp_path / "source", random_tensors(0), shards=4), tmp_path / "out"
    process = child(convert_slowly, source, out)
    while process.is_alive() and not list(tmp_path.glob("out.partial/*.safetensors.json")):
        time.sleep(0.002)
    process.kill()
    process.join()
    assert not out.exists()
    assert contents(convert(source, out).out) == contents(convert(source, tmp_path / "whole").out)
    assert not list(tmp_path.glob("*.partial"))


def test_the_command_tells_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = folder_of(tmp_path / "source", random_tensors(0), shards=3)
    main(["convert", str(source), "--out", str(tmp_path / "out")])
    assert capsys.readouterr().out == f"converted 12 tensors, 0.00 GB, into {tmp_path / 'out'}, 3 files\n"
