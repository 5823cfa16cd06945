"""Recipes that do not fit the experts, and values that are no numbers."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.conftest import moved, random_tensors, write_model
from tests.wudi.merges import Trio, all_tensors, contents, nothing_written, run, run_command, task_vectors
from wudi import Recipe, WudiError
from wudi.settings import SettingError

Q, NORM, EMBEDDING = "model.layers.0.self_attn.q_proj.weight", "model.norm.weight", "model.embed_tokens.weight"


@pytest.mark.parametrize("method", ["average", "task_arithmetic", "ties", "dare", "karcher"])
def test_a_weight_for_an_expert_that_is_none(method: str, trio: Trio, tmp_path: Path) -> None:
    with pytest.raises(SettingError) as caught:
        run(*trio, tmp_path / "out", {"method": method, "weights": {"expert1": 1.0, "exprt2": 0.5}})
    assert caught.value.key == "weights.exprt2"
    assert "did you mean expert2?" in caught.value.problem
    assert nothing_written(tmp_path / "out")


def test_a_wrong_weight_on_the_command_line(trio: Trio, tmp_path: Path) -> None:
    for given, says in {
        "weights.exprt2=0.5": "did you mean expert2?",
        "weights.expert2=much": "'much'",
        "weights.expert2=-1": "at least 0",
        "weights=0.5": "a number at least 0 for each expert",
    }.items():
        with pytest.raises(SystemExit) as caught:
            run_command(*trio, tmp_path / "out", "--method=average", "--set", given)
        message = str(caught.value.code)
        assert message.startswith("error: ") and says in message and "\n" not in message
        assert given.partition("=")[0] in message
    assert nothing_written(tmp_path / "out")


def test_weights_on_the_command_line(trio: Trio, tmp_path: Path) -> None:
    flags = ("--set", "weights.expert2=0.5", "--set", "weights.expert3=0")
    run_command(*trio, tmp_path / "command", "--method=average", *flags)
    run(*trio, tmp_path / "python", {"method": "average", "weights": {"expert2": 0.5, "expert3": 0}})
    assert contents(tmp_path / "command") == contents(tmp_path / "python")
    base, merged = all_tensors(trio[0]), all_tensors(tmp_path / "command")
    for name, (first, second, _) in task_vectors(trio).items():
        torch.testing.assert_close(merged[name], base[name] + (first + 0.5 * second) / 1.5)


@pytest.mark.parametrize("count", [1, 3])
def test_slerp_takes_two_experts(count: int, trio: Trio, tmp_path: Path) -> None:
    base, experts = trio
    with pytest.raises(WudiError, match=rf"slerp takes 2 experts; got {count}"):
        run(base, experts[:count], tmp_path / "out", {"method": "slerp"})
    with pytest.raises(SystemExit) as caught:
        run_command(base, experts[:count], tmp_path / "out", "--method=slerp")
    assert "slerp takes 2 experts" in str(caught.value.code)
    assert nothing_written(tmp_path / "out")
    run(base, experts[:2], tmp_path / "out", {"method": "slerp"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", [Q, NORM, EMBEDDING])
@pytest.mark.parametrize("who", ["base", "expert1", "expert2"])
def test_what_is_no_number_names_the_model_and_the_tensor(who: str, name: str, value: float, tmp_path: Path) -> None:
    models: dict[str, Any] = {"base": random_tensors(0)}
    models |= {f"expert{seed}": moved(models["base"], seed) for seed in (1, 2)}
    models[who][name].view(-1)[5] = value
    base, *experts = (write_model(tmp_path / folder, tensors) for folder, tensors in models.items())
    for recipe in ({"method": "ties"}, {"method": "swudi", "rest": "base"}):
        with pytest.raises(WudiError, match=rf"^(expert )?{who} \(.*tensor {name} holds NaN or infinity"):
            run(base, experts, tmp_path / "out", recipe)
        assert not (tmp_path / "out").exists()


def test_a_copy_of_an_expert_is_refused(trio: Trio, tmp_path: Path) -> None:
    base, experts = trio
    copy = shutil.copytree(experts[0], tmp_path / "copy")
    with pytest.raises(WudiError, match="expert copy: has the same files as expert1"):
        run(base, [*experts, copy], tmp_path / "out", {"method": "average"})
    assert nothing_written(tmp_path / "out")


def test_files_beside_the_model_are_not_read(trio: Trio, tmp_path: Path) -> None:
    base, experts = trio
    expected = all_tensors(run(base, experts, tmp_path / "before", {"method": "average"}).out)
    strange = {name: tensor + 1 for name, tensor in all_tensors(experts[0]).items()}
    save_file(strange, experts[0] / "original.safetensors")
    found = all_tensors(run(base, experts, tmp_path / "after", {"method": "average"}).out)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_tensor_in_two_files_is_refused(trio: Trio, tmp_path: Path) -> None:
    base, experts = trio
    (experts[0] / "model.safetensors").rename(experts[0] / "a.safetensors")
    save_file({NORM: torch.zeros(16)}, experts[0] / "b.safetensors")
    with pytest.raises(WudiError, match=rf"tensor {NORM} is in a.safetensors and in b.safetensors"):
        run(base, experts, tmp_path / "out", {"method": "average"})


def test_a_merge_that_adds_nothing_says_so(trio: Trio, tmp_path: Path) -> None:
    told: list[str] = []
    run(*trio, tmp_path / "out", {"method": "task_arithmetic", "scale": 0.0}, say=told.append)
    assert told == ["task_arithmetic adds nothing anywhere with these settings: the merged model is the base"]
    told.clear()
    run(*trio, tmp_path / "more", {"method": "task_arithmetic"}, say=told.append)
    assert told == []


@pytest.mark.parametrize("settings", [{"scale": 1e300}, {"weights": {"expert1": -1e40}}])
def test_numbers_that_float32_cannot_hold(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="takes numbers up to 1e\\+30, which float32 can hold"):
        Recipe.parse({"method": "task_arithmetic", **settings})


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--seed=3"], "--seed: average draws nothing at random; leave it out"),
        (["--device=cuda:7"], "device: got 'cuda:7', but torch finds"),
        (["--device=cpu,cpu"], "names one twice"),
        (["--workers=0"], "workers: got 0; takes a whole number of at least 1"),
        (["--scheduler=nonsense"], "scheduler: got 'nonsense'; takes the address"),
        (["--scheduler=tcp://127.0.0.1"], "takes the address of a Dask scheduler, like tcp://HOST:8786"),
    ],
)
def test_flags_that_mean_nothing(flags: list[str], says: str, trio: Trio, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="error: ") as refused:
        run_command(*trio, tmp_path / "out", "--method=average", *flags)
    assert says in str(refused.value)
    assert nothing_written(tmp_path / "out")


def test_the_root_is_no_place_for_a_model(trio: Trio) -> None:
    with pytest.raises(WudiError, match="/: is the root of a disk"):
        run(*trio, Path("/"), {"method": "average"})
