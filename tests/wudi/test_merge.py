"""Merging checkpoints: the folder that comes out, what is refused, and what survives an interruption."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conftest import CONFIG, moved, random_tensors, write_model
from tests.wudi.merges import Stop, stop_after
from wudi import Recipe, WudiError
from wudi.checkpoint import Checkpoint
from wudi.cli import main
from wudi.experts import Expert, open_experts
from wudi.merge import merge
from wudi.task_vectors import write_task_vector

LINEAR = "model.layers.0.mlp.up_proj.weight"


def run(base: Path, experts: Sequence[Path], out: Path, method: str = "task_arithmetic", **options: Any) -> Any:
    # Fewer steps of Adam: what is tested here holds after any number of them.
    settings = options.pop("settings", {"iterations": 20} if method == "wudi" else {})
    recipe = Recipe.parse({"method": method, **settings})
    return merge(Checkpoint(base), open_experts(experts), recipe, out, device="cpu", **options)


def all_tensors(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()}


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_out_is_a_complete_model_that_transformers_loads(trio: tuple[Path, list[Path]], tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    base, experts = trio
    out = run(base, experts, tmp_path / "out", settings={"scale": 0.5}).out
    expected = {
        name: weight + 0.5 * sum(load_file(e / "model.safetensors")[name] - weight for e in experts)
        for name, weight in all_tensors(base).items()
    }
    loaded = AutoModelForCausalLM.from_pretrained(out).state_dict()
    assert loaded.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(loaded[name], weight)
    assert (out / "generation_config.json").is_file()
    assert sorted(file.name for file in out.glob("*.safetensors")) == sorted(f.name for f in base.glob("*.safetensors"))
    record = json.loads((out / "merge.json").read_text())
    assert record["recipe"] == Recipe.parse({"method": "task_arithmetic", "scale": 0.5}).as_dict()
    assert set(record["experts"]) == {"expert1", "expert2", "expert3"}
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("rest", ["average", "base", "sum"])
def test_linear_weights_by_the_method_and_the_rest_as_told(
    rest: str, trio: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    base, experts = trio
    settings = {"rest": rest, "scale": 2.0}
    merged = all_tensors(run(base, experts, tmp_path / "out", settings=settings).out)
    weights, others = all_tensors(base), [load_file(e / "model.safetensors") for e in experts]
    for name, weight in weights.items():
        total = sum(other[name] - weight for other in others)
        is_linear = "proj" in name
        factor = 2.0 if is_linear else {"average": 1 / 3, "base": 0.0, "sum": 1.0}[rest]
        torch.testing.assert_close(merged[name], weight + factor * total, msg=name)


def test_arithmetic_is_float32_and_rounds_once(tmp_path: Path) -> None:
    base = {name: tensor.bfloat16() for name, tensor in random_tensors(0).items()}
    experts = [{name: tensor.bfloat16() for name, tensor in moved(random_tensors(0), seed).items()} for seed in (1, 2)]
    folders = [write_model(tmp_path / f"e{number}", tensors) for number, tensors in enumerate(experts)]
    out = run(write_model(tmp_path / "base", base), folders, tmp_path / "out").out
    for name, merged in all_tensors(out).items():
        exact = base[name].float() + 0.3 * sum(e[name].float() - base[name].float() for e in experts)
        assert torch.equal(merged, exact.bfloat16())


def test_dtype_is_written_into_weights_and_config(trio: tuple[Path, list[Path]], tmp_path: Path) -> None:
    out = run(*trio, tmp_path / "out", dtype="bfloat16").out
    assert all_tensors(out)[LINEAR].dtype == torch.bfloat16
    assert json.loads((out / "config.json").read_text())["dtype"] == "bfloat16"


@pytest.mark.parametrize("method", ["ties", "dare_ties", "wudi", "swudi"])
def test_task_vectors_and_checkpoints_give_the_same_bytes(
    method: str, trio: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    base, experts = trio
    vectors = tmp_path / "vectors"
    for expert in open_experts(experts):
        write_task_vector(Checkpoint(base), expert, vectors / expert.name)
    direct = contents(run(base, experts, tmp_path / "direct", method).out)
    by_vector = contents(run(base, [vectors / e.name for e in experts], tmp_path / "by_vector", method).out)
    assert direct.pop("merge.json") != by_vector.pop("merge.json")  # they read other files
    assert direct == by_vector


@pytest.mark.parametrize("method", ["dare_ties", "wudi"])
def test_same_recipe_same_bytes(method: str, trio: tuple[Path, list[Path]], tmp_path: Path) -> None:
    assert contents(run(*trio, tmp_path / "a", method).out) == contents(run(*trio, tmp_path / "b", method).out)


def test_dare_draws_do_not_depend_on_shards(tmp_path: Path) -> None:
    base = random_tensors(0)
    experts = [write_model(tmp_path / f"expert{seed}", moved(base, seed)) for seed in (1, 2)]
    outs = [
        run(write_model(tmp_path / f"base{n}", base, shards=n), experts, tmp_path / f"out{n}", "dare_ties").out
        for n in (1, 4)
    ]
    one, four = map(all_tensors, outs)
    assert all(torch.equal(one[name], four[name]) for name in base)


@pytest.mark.parametrize("count", [0, 3, 4, 5, 11])
def test_an_interrupted_merge_goes_on_and_ends_in_the_same_bytes(
    count: int, trio: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    whole = contents(run(*trio, tmp_path / "whole", "wudi").out)
    with pytest.raises(Stop):
        run(*trio, tmp_path / "out", "wudi", track=stop_after(count))
    assert not (tmp_path / "out").exists()
    done = list((tmp_path / "out.partial").glob("*.safetensors"))
    assert len(done) == count // 4
    stamps = {file.name: file.stat().st_mtime_ns for file in done}
    assert contents(run(*trio, tmp_path / "out", "wudi").out) == whole
    assert all((tmp_path / "out" / name).stat().st_mtime_ns == stamp for name, stamp in stamps.items())


def test_work_of_another_recipe_or_input_is_not_taken_over(trio: tuple[Path, list[Path]], tmp_path: Path) -> None:
    base, experts = trio
    with pytest.raises(Stop):
        run(base, experts, tmp_path / "out", settings={"scale": 0.1}, track=stop_after(9))
    out = contents(run(base, experts, tmp_path / "out", settings={"scale": 0.2}).out)
    assert out == contents(run(base, experts, tmp_path / "fresh", settings={"scale": 0.2}).out)


def merge_slowly(base: Path, experts: list[Path], out: Path) -> None:
    def track(items: Sequence[Any], _: str) -> Iterable[Any]:
        for item in items:
            time.sleep(0.15)
            yield item

    run(base, experts, out, track=track)


def test_kill_9_leaves_nothing_that_looks_finished(trio: tuple[Path, list[Path]], tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = multiprocessing.get_context("spawn").Process(target=merge_slowly, args=(*trio, out))
    process.start()
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out.partial/*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not out.exists()
    assert contents(run(*trio, out).out) == contents(run(*trio, tmp_path / "whole").out)


def test_an_existing_folder_is_not_replaced_unasked(trio: tuple[Path, list[Path]], tmp_path: Path) -> None:
    run(*trio, tmp_path / "out")
    with pytest.raises(WudiError, match="exists already"):
        run(*trio, tmp_path / "out")
    run(*trio, tmp_path / "out", overwrite=True)


def broken(tmp_path: Path, change: Any) -> tuple[Path, list[Path]]:
    base = random_tensors(0)
    good, bad = moved(base, 1), moved(base, 2)
    change(bad)
    experts = [write_model(tmp_path / "good", good), write_model(tmp_path / "bad", bad)]
    return write_model(tmp_path / "base", base), experts


def set_nan(tensors: dict[str, torch.Tensor]) -> None:
    tensors[LINEAR][3, 5] = float("nan")


def reshape(tensors: dict[str, torch.Tensor]) -> None:
    tensors[LINEAR] = torch.zeros(30, 16)


def rename(tensors: dict[str, torch.Tensor]) -> None:
    tensors["model.layers.1.mlp.up_proj.weight"] = tensors.pop(LINEAR)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (set_nan, ["bad", LINEAR, "NaN"]),
        (reshape, ["bad", LINEAR, "[30, 16]", "[32, 16]"]),
        (rename, ["bad", f"misses tensor {LINEAR}", "has tensor model.layers.1.mlp.up_proj.weight"]),
    ],
)
def test_bad_experts(change: Any, says: list[str], tmp_path: Path) -> None:
    base, experts = broken(tmp_path, change)
    with pytest.raises(WudiError) as caught:
        run(base, experts, tmp_path / "out")
    assert all(words in str(caught.value) for words in says), str(caught.value)
    assert not (tmp_path / "out").exists()
    with pytest.raises(WudiError):
        write_task_vector(Checkpoint(base), open_experts(experts)[1], tmp_path / "vector")
    assert not (tmp_path / "vector").exists()


def test_an_expert_that_equals_the_base(tmp_path: Path) -> None:
    base = write_model(tmp_path / "base", random_tensors(0))
    same = write_model(tmp_path / "same", random_tensors(0))
    other = write_model(tmp_path / "other", moved(random_tensors(0), 1))
    with pytest.raises(WudiError, match=r"same.*every weight equals"):
        run(base, [same, other], tmp_path / "out")
    with pytest.raises(WudiError, match=r"same.*every weight equals"):
        write_task_vector(Checkpoint(base), open_experts([same])[0], tmp_path / "vector")


def test_another_architecture_is_named(trio: tuple[Path, list[Path]], tmp_path: Path) -> None:
    base, experts = trio
    config = experts[1] / "config.json"
    config.write_text(config.read_text().replace('"llama"', '"mistral"'))
    with pytest.raises(WudiError, match=r"expert2: its architecture is mistral, the base's is llama"):
        run(base, experts, tmp_path / "out")


def test_no_room_on_the_disk(trio: tuple[Path, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(WudiError, match=r"needs 0\.00 GB, but the disk has 0\.00 GB free"):
        run(*trio, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _: None, "found nothing"),
        (lambda path: path.mkdir(), "holds no .safetensors"),
        (lambda path: (path.mkdir(), (path / "pytorch_model.bin").write_bytes(b"x")), "pickle"),
        (lambda path: (path.mkdir(), (path / "adapter_config.json").write_text("{}")), "PEFT adapter"),
        (lambda path: (path.mkdir(), (path / "model.safetensors").write_bytes(b"12345678junk")), "not a sound"),
    ],
    ids=["missing", "empty", "pickle", "adapter", "damaged"],
)
def test_what_is_no_checkpoint(
    make: Any, says: str, trio: tuple[Path, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, experts = trio
    make(tmp_path / "bad")
    arguments = ["merge", str(base), str(experts[0]), str(tmp_path / "bad"), "--method=wudi", f"--out={tmp_path / 'o'}"]
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert says in str(caught.value.code)
    assert "Traceback" not in capsys.readouterr().err


def test_buffers_of_whole_numbers_are_copied_where_all_agree(tmp_path: Path) -> None:
    base = {"layers.0.w.weight": torch.zeros(2, 2), "steps": torch.tensor([7])}
    save_file(base, tmp_path / "base.safetensors")
    save_file(base | {"layers.0.w.weight": torch.ones(2, 2)}, tmp_path / "agrees.safetensors")
    save_file(base | {"steps": torch.tensor([9])}, tmp_path / "differs.safetensors")
    out = run(tmp_path / "base.safetensors", [tmp_path / "agrees.safetensors"], tmp_path / "out").out
    assert torch.equal(load_file(out / "model.safetensors")["steps"], torch.tensor([7]))
    with pytest.raises(WudiError, match=r"expert differs .*tensor steps \(I64\) would be copied from the base"):
        run(tmp_path / "base.safetensors", [tmp_path / "differs.safetensors"], tmp_path / "other")


def test_experts_of_one_name_are_told_apart(tmp_path: Path) -> None:
    base = random_tensors(0)
    write_model(tmp_path / "a" / "model", moved(base, 1))
    write_model(tmp_path / "b" / "model", moved(base, 2))
    names = [expert.name for expert in open_experts([tmp_path / "a" / "model", tmp_path / "b" / "model"])]
    assert names == ["a/model", "b/model"]
    with pytest.raises(WudiError, match="more than once"):
        open_experts([tmp_path / "a" / "model", tmp_path / "a" / "model"])


def test_order_of_experts_gives_the_same_model(trio: tuple[Path, list[Path]], tmp_path: Path) -> None:
    base, experts = trio
    forward = all_tensors(run(base, experts, tmp_path / "a", "dare_ties").out)
    backward = all_tensors(run(base, experts[::-1], tmp_path / "b", "dare_ties").out)
    for name, tensor in forward.items():
        torch.testing.assert_close(tensor, backward[name])


def test_the_expert_knows_its_kind(trio: tuple[Path, list[Path]], tmp_path: Path) -> None:
    base, experts = trio
    expert = open_experts(experts)[0]
    write_task_vector(Checkpoint(base), expert, tmp_path / "vector")
    vector = Expert("expert1", Checkpoint(tmp_path / "vector"))
    assert vector.is_task_vector
    assert not Expert("expert1", expert.checkpoint).is_task_vector
    weight = Checkpoint(base).read(LINEAR)
    assert torch.equal(vector.delta(LINEAR, weight), expert.delta(LINEAR, weight))


def test_an_input_is_never_replaced(trio: tuple[Path, list[Path]], tmp_path: Path) -> None:
    base, experts = trio
    for out in (base, tmp_path):
        with pytest.raises(WudiError, match="is or holds the input"):
            run(base, experts, out, overwrite=True)
    assert (base / "config.json").is_file()


def test_only_a_merge_is_overwritten(trio: tuple[Path, list[Path]], tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "thesis.txt").write_text("x")
    for out, says in (
        ("thesis", "was not written by a merge"),
        ("file", "is no folder"),
        ("out", "not of this program"),
    ):
        with pytest.raises(WudiError, match=says):
            run(*trio, tmp_path / out, overwrite=True)
    with pytest.raises(WudiError, match="cannot be written"):
        run(*trio, tmp_path / "file" / "out")
    assert len(list(tmp_path.rglob("thesis.txt"))) == 2


def test_a_run_that_was_killed_while_it_wrote_its_plan_is_no_obstacle(
    trio: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "plan.json.tmp").write_text("{")
    run(*trio, tmp_path / "out")
    assert not list((tmp_path / "out").glob("plan*"))


def test_two_processes_do_not_write_one_folder(trio: tuple[Path, list[Path]], tmp_path: Path) -> None:
    def track(items: Sequence[Any], _: str) -> Iterable[Any]:
        with pytest.raises(WudiError, match="another process is writing"):
            run(*trio, tmp_path / "out")
        return items

    run(*trio, tmp_path / "out", track=track)


def test_an_overflow_of_the_output_is_an_error(tmp_path: Path) -> None:
    name = "layers.0.up.weight"
    for file, value in (("base", 6e4), ("expert", 6.4e4)):
        save_file({name: torch.full((2, 2), value).half()}, tmp_path / f"{file}.safetensors")
    with pytest.raises(WudiError, match=rf"{name} overflows torch.float16"):
        run(tmp_path / "base.safetensors", [tmp_path / "expert.safetensors"], tmp_path / "o", settings={"scale": 9.0})
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn])
def test_quantised_weights_are_refused(dtype: torch.dtype, tmp_path: Path) -> None:
    for file in ("base", "expert"):
        save_file({"layers.0.up.weight": torch.ones(2, 2).to(dtype)}, tmp_path / f"{file}.safetensors")
    with pytest.raises(WudiError, match="before they are quantised"):
        run(tmp_path / "base.safetensors", [tmp_path / "expert.safetensors"], tmp_path / "out")


def test_buffers_pass_through_task_vectors(tmp_path: Path) -> None:
    for file, value in (("base", 0.0), ("expert", 1.0)):
        tensors = {"layers.0.w.weight": torch.full((2, 2), value), "position_ids": torch.arange(3)}
        save_file(tensors, tmp_path / f"{file}.safetensors")
    base = Checkpoint(tmp_path / "base.safetensors")
    write_task_vector(base, open_experts([tmp_path / "expert.safetensors"])[0], tmp_path / "vector")
    out = run(tmp_path / "base.safetensors", [tmp_path / "vector"], tmp_path / "out").out
    assert torch.equal(load_file(out / "model.safetensors")["position_ids"], torch.arange(3))
    with pytest.raises(WudiError, match="is a task vector; name the base"):
        run(tmp_path / "vector", [tmp_path / "expert.safetensors"], tmp_path / "wrong")


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("config.json", "{", "config.json: not valid JSON"),
        ("config.json", "[1]", "config.json: holds no JSON object"),
        ("config.json", CONFIG.replace('"hidden_size": 16', '"hidden_size": "abc"'), "transformers cannot build"),
        ("model.safetensors.index.json", "{}", "has no weight_map"),
        ("model.safetensors.index.json", '{"weight_map": {"w": "../a.safetensors"}}', "has no weight_map"),
    ],
)
def test_damaged_descriptions(file: str, text: str, says: str, trio: tuple[Path, list[Path]], tmp_path: Path) -> None:
    base, experts = trio
    (base / file).write_text(text)
    with pytest.raises(WudiError, match=says):
        run(base, experts, tmp_path / "out", "wudi")  # a method that asks the class what each tensor is
