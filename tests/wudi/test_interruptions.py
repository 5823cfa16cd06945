"""Merges that are killed, and go on: nothing looks finished before it is, and the bytes are those of a calm run.

What an interrupted run has finished counts only as long as the recipe and the inputs are the same.
"""

import json
import random
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conftest import write_model
from tests.wudi.children import child, run_until, run_with
from tests.wudi.merges import Trio, contents, interrupted, run, stop_after
from wudi import WudiError
from wudi.task_vectors import write_task_vector
from wudi.work_folder import PLAN

AVERAGE = {"method": "average"}
WUDI = {"method": "wudi", "iterations": 5}
TIES = {"method": "ties", "density": 0.3}


def finished_shards(out: Path) -> dict[str, int]:
    """When each shard was written that an interrupted run has marked as done."""
    partial = out.with_name(f"{out.name}.partial")
    notes = partial.glob("*.safetensors.json")
    return {note.stem: (partial / note.stem).stat().st_mtime_ns for note in notes}


def assert_kept(out: Path, shards: dict[str, int]) -> None:
    assert {name: (out / name).stat().st_mtime_ns for name in shards} == shards


@pytest.mark.parametrize("overwrite", [False, True])
def test_kill_9_before_each_operation_on_the_disk(overwrite: bool, trio: Trio, tmp_path: Path) -> None:
    whole = contents(run(*trio, tmp_path / "whole", AVERAGE).out)
    earlier = contents(run(*trio, tmp_path / "earlier", TIES).out)
    number = 18 if overwrite else 0  # the first ones are those of the other case
    while True:
        out = tmp_path / f"{number}" / "out"
        if overwrite:
            shutil.copytree(tmp_path / "earlier", out)
        process = child(run_until, number, trio, out, AVERAGE, {"overwrite": overwrite})
        process.join()
        if process.exitcode == 0:
            break
        if out.exists():
            found = contents(out)
            found.pop(PLAN, None)
            assert found in ([earlier, whole] if overwrite else [whole])
        done = finished_shards(out)
        if overwrite or not out.exists():
            run(*trio, out, AVERAGE, overwrite=overwrite)
            assert_kept(out, done)
        else:
            with pytest.raises(WudiError, match="exists already"):
                run(*trio, out, AVERAGE)
        assert contents(out) == whole
        assert [file.name for file in out.parent.iterdir()] == ["out"]
        number += 1
    assert number > 25
    assert contents(out) == whole


@pytest.mark.parametrize("recipe", [WUDI, TIES, {"method": "dare_ties"}, {"method": "swudi"}], ids=str)
def test_kill_9_at_random_instants(recipe: dict[str, Any], trio: Trio, tmp_path: Path) -> None:
    whole = contents(run(*trio, tmp_path / "whole", recipe).out)
    instants, out = random.Random(str(recipe)), tmp_path / "out"
    for _ in range(12):
        process = child(run_with, trio, out, recipe, {"overwrite": True})
        process.join(instants.uniform(0.02, 0.25))
        process.kill()
        process.join()
        if out.exists():
            assert whole == {name: data for name, data in contents(out).items() if name != PLAN}
    run(*trio, out, recipe, overwrite=True)
    assert contents(out) == whole
    assert not list(tmp_path.glob("*.partial"))


def rewrite(file: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    """Change values in a file, whose size and header stay the same."""
    tensors = load_file(file)
    before = file.stat().st_size
    change(tensors)
    save_file(tensors, file, {"format": "pt"})
    assert file.stat().st_size == before


@pytest.mark.parametrize("recipe", [AVERAGE, WUDI, TIES, {"method": "pcb"}], ids=str)
@pytest.mark.parametrize("which", ["base", "expert2"])
def test_other_values_in_an_input(which: str, recipe: dict[str, Any], trio: Trio, tmp_path: Path) -> None:
    interrupted(trio, tmp_path / "out", recipe, 9)
    file = sorted((tmp_path / which).glob("*.safetensors"))[0]
    rewrite(file, lambda tensors: [tensor.mul_(1.5) for tensor in tensors.values()])
    run(*trio, tmp_path / "out", recipe)
    assert contents(tmp_path / "out") == contents(run(*trio, tmp_path / "fresh", recipe).out)


@pytest.mark.parametrize("recipe", [AVERAGE, TIES, {"method": "pcb"}], ids=str)
def test_other_values_where_the_merge_had_not_come_yet(recipe: dict[str, Any], trio: Trio, tmp_path: Path) -> None:
    """What was finished before is kept, unless the method looked at the whole model first."""
    interrupted(trio, tmp_path / "out", recipe, 5)
    done = finished_shards(tmp_path / "out")
    assert done

    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors["model.layers.0.self_attn.v_proj.weight"].mul_(9)  # the last of the expert's file

    rewrite(trio[1][0] / "model.safetensors", change)
    run(*trio, tmp_path / "out", recipe)
    if recipe == AVERAGE:
        assert_kept(tmp_path / "out", done)
    assert contents(tmp_path / "out") == contents(run(*trio, tmp_path / "fresh", recipe).out)


def test_a_finished_shard_that_was_damaged_is_written_again(trio: Trio, tmp_path: Path) -> None:
    whole = contents(run(*trio, tmp_path / "whole", WUDI).out)
    interrupted(trio, tmp_path / "out", WUDI, 9)
    first, second = sorted((tmp_path / "out.partial").glob("*.safetensors"))
    data = bytearray(first.read_bytes())
    data[-3] ^= 1
    first.write_bytes(data)
    kept = second.stat().st_mtime_ns
    run(*trio, tmp_path / "out", WUDI)
    assert contents(tmp_path / "out") == whole
    assert (tmp_path / "out" / second.name).stat().st_mtime_ns == kept


@pytest.mark.parametrize("other", [{"recipe": {**AVERAGE, "scale": 0.5}}, {"recipe": TIES}, {"dtype": "bfloat16"}])
def test_another_recipe_or_dtype_starts_afresh(other: dict[str, Any], trio: Trio, tmp_path: Path) -> None:
    options = {"recipe": AVERAGE, **other}
    interrupted(trio, tmp_path / "out", AVERAGE, 9)
    run(*trio, tmp_path / "out", **options)
    assert contents(tmp_path / "out") == contents(run(*trio, tmp_path / "fresh", **options).out)


def test_files_beside_the_weights_are_those_of_the_last_run(trio: Trio, tmp_path: Path) -> None:
    base, _ = trio
    (base / "notes.txt").write_text("old")
    (base / "gone.txt").write_text("old")
    out = tmp_path / "out"
    process = child(run_until, 24, trio, out, AVERAGE, {})
    process.join()
    assert (tmp_path / "out.partial" / "gone.txt").exists(), "the merge had not come so far"
    done = finished_shards(out)
    (base / "notes.txt").write_text("new")
    (base / "gone.txt").unlink()
    run(*trio, out, AVERAGE)
    assert len(done) == 3
    assert_kept(out, done)
    assert contents(out) == contents(run(*trio, tmp_path / "fresh", AVERAGE).out)


def test_half_written_files_of_any_name_do_not_stay(trio: Trio, tmp_path: Path) -> None:
    interrupted(trio, tmp_path / "out", AVERAGE, 9)
    (tmp_path / "out.partial" / "model-1-of-9.safetensors.abc.tmp").write_bytes(b"x")
    (tmp_path / "out.partial" / f"{PLAN}.tmp").write_bytes(b"{")
    run(*trio, tmp_path / "out", AVERAGE)
    assert contents(tmp_path / "out") == contents(run(*trio, tmp_path / "fresh", AVERAGE).out)


def test_another_config_of_the_base(tmp_path: Path) -> None:
    """By it the merge knows what each tensor is: GPT-2 stores its matrices as (in, out)."""
    tensors = {f"h.{layer}.attn.c_attn.weight": torch.randn(16, 48) for layer in (0, 1)}
    models = [{name: weight + torch.randn(16, 48) for name, weight in tensors.items()} for _ in range(2)]
    trio = (
        write_model(tmp_path / "base", tensors, shards=2),
        [write_model(tmp_path / f"expert{number}", model) for number, model in enumerate(models)],
    )

    def configure(model_type: str) -> None:
        for folder in (trio[0], *trio[1]):
            (folder / "config.json").write_text(json.dumps({"model_type": model_type, "n_embd": 16}))

    recipe = {"method": "ties", "trim": "row"}
    configure("unheard-of")
    interrupted(trio, tmp_path / "out", recipe, 1)
    assert finished_shards(tmp_path / "out")
    configure("gpt2")
    run(*trio, tmp_path / "out", recipe)
    assert contents(tmp_path / "out") == contents(run(*trio, tmp_path / "fresh", recipe).out)


@pytest.mark.parametrize(("overwrite", "says"), [(False, "exists already"), (True, "was not written by a merge")])
def test_a_name_that_is_taken_meanwhile_is_not_replaced(overwrite: bool, says: str, trio: Trio, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def track(items: Sequence[Any], _: str) -> Iterable[Any]:
        yield from items
        out.mkdir()
        (out / "thesis.txt").write_text("x")

    with pytest.raises(WudiError, match=says):
        run(*trio, out, AVERAGE, track=track, overwrite=overwrite)
    assert contents(out) == {"thesis.txt": b"x"}
    shutil.rmtree(out)
    done = finished_shards(out)
    run(*trio, out, AVERAGE)
    assert len(done) == 3
    assert_kept(out, done)


def test_what_refused_a_folder_does_not_keep_it_locked(trio: Trio, tmp_path: Path) -> None:
    partial = tmp_path / "out.partial"
    partial.mkdir()
    (partial / "thesis.txt").write_text("x")
    for _ in range(2):
        with pytest.raises(WudiError, match="not of this program's making") as caught:
            run(*trio, tmp_path / "out", AVERAGE)
    (partial / "thesis.txt").unlink()
    run(*trio, tmp_path / "out", AVERAGE)
    assert caught.value  # whose frames still hold what the refused run had opened


def test_an_interrupted_task_vector_is_begun_again(trio: Trio, tmp_path: Path) -> None:
    from wudi.checkpoint import Checkpoint
    from wudi.experts import open_experts

    base, expert = Checkpoint(trio[0]), open_experts(trio[1])[0]
    write_task_vector(base, expert, tmp_path / "whole")
    with pytest.raises(Exception, match=r"^$"):
        write_task_vector(base, expert, tmp_path / "out", track=lambda items, _: stop_after(7)(items, "merging"))
    write_task_vector(base, expert, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
