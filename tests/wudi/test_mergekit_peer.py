"""mergekit itself, where `make bench-peers` has installed it: what is said to be equal to what it gives, is.

Each case is a config of its, merged by it, converted, and merged by the command that stands in what was converted; all
in float32. docs/mergekit.md says the same in words.
"""

import json
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.mergekit import ENVIRONMENT
from wudi.cli import main

pytestmark = pytest.mark.long

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 12,
    "vocab_size": 48,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
}
RUN = """
import sys, yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
for file in sys.argv[1:]:
    config = MergeConfiguration.model_validate(yaml.safe_load(open(file)))
    options = {"random_seed": 0, "quiet": True, "copy_tokenizer": False, "write_model_card": False}
    run_merge(config, file.removesuffix(".yml"), MergeOptions(device="cpu", **options))
"""
WEIGHTS = (0.7, 0.5, 0.3)
Deltas = dict[str, tuple[Tensor, Tensor]]
"""What this project and mergekit added to each tensor of the base."""


def with_base(method: str, own: Mapping[str, Any] | None = None, **shared: Any) -> dict[str, Any]:
    models = [
        {"model": f"expert_{n}", "parameters": {"weight": weight} | dict(own or {})}
        for n, weight in enumerate(WEIGHTS, 1)
    ]
    return {"merge_method": method, "base_model": "base", "models": models, "parameters": shared, "dtype": "float32"}


CASES: dict[str, dict[str, Any]] = {
    "linear": {key: value for key, value in with_base("linear").items() if key != "base_model"},
    "linear with its base": with_base("linear", weight=0.4),
    "task_arithmetic": with_base("task_arithmetic", **{"lambda": 0.6}),
    "task_arithmetic normalized": with_base("task_arithmetic", normalize=True),
    "ties": with_base("ties", {"density": 0.4}, int8_mask=True),
    "ties, untrimmed": with_base("ties"),
    "ties, sum": with_base("ties", normalize=False, **{"lambda": 0.5}),
    "breadcrumbs": with_base("breadcrumbs", {"density": 0.7, "gamma": 0.05}),
    "breadcrumbs, dense": with_base("breadcrumbs", {"density": 0.98, "gamma": 0.05}),
    "model_stock": with_base("model_stock"),
    "sce": with_base("sce"),
    "sce, selected": with_base("sce", select_topk=0.5),
    "dare_linear": with_base("dare_linear", {"density": 0.6}),
    "dare_linear, all kept": with_base("dare_linear"),
    "dare_ties": with_base("dare_ties", {"density": 0.6}, **{"lambda": 0.8}),
    "dare_ties, all kept": with_base("dare_ties"),
    "della": with_base("della", {"density": 0.6, "epsilon": 0.1}),
    "della, all kept": with_base("della"),
    "della_linear": with_base("della_linear", {"density": 0.6, "epsilon": 0.1}),
    "slerp": with_base("slerp", t=0.3) | {"base_model": "expert_1", "models": [{"model": "expert_2"}]},
    "karcher": {"merge_method": "karcher", "models": [{"model": f"expert_{n}"} for n in (1, 2, 3)], "dtype": "float32"},
    "nuslerp": with_base("nuslerp") | {"models": with_base("nuslerp")["models"][:2]},
}
"""Configs as people write them, each in one of its usual forms."""


EQUAL = ["linear", "linear with its base", "task_arithmetic", "task_arithmetic normalized", "ties, untrimmed"]
EQUAL += ["ties, sum", "sce", "sce, selected", "dare_linear, all kept", "dare_ties, all kept", "della, all kept"]
EQUAL += ["slerp", "karcher", "nuslerp"]
BUT_FOR_AN_ENTRY = ["ties", "breadcrumbs", "breadcrumbs, dense"]
DRAWN = ["dare_linear", "dare_ties", "della", "della_linear"]


@pytest.fixture(scope="module")
def deltas(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Deltas]:
    """What both programs make of each case."""
    if not ENVIRONMENT.python.exists():
        pytest.skip("mergekit is not installed (`make bench-peers` does it)")
    folder = tmp_path_factory.mktemp("peer")
    for model in ("base", "expert_1", "expert_2", "expert_3"):
        tensors = load_file(reference / "three_experts" / f"{model}.safetensors")
        (folder / model).mkdir()
        kept = {name: tensor for name, tensor in tensors.items() if not name.endswith(".bias")}  # which no Llama has
        save_file(kept, folder / model / "model.safetensors", metadata={"format": "pt"})
        (folder / model / "config.json").write_text(json.dumps(CONFIG))
    files = {name: folder / f"{re.sub(r'[ ,]+', '-', name)}.yml" for name in CASES}
    for name, file in files.items():
        file.write_text(yaml.safe_dump(CASES[name]))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HF_HUB_OFFLINE", "1")
        subprocess.run([ENVIRONMENT.python, "-c", RUN, *files.values()], check=True)
        return {name: both(file) for name, file in files.items()}


def both(file: Path) -> Deltas:
    """Merge by the command that stands in the converted file, and set both results side by side."""
    params, ours = file.with_suffix(".params"), file.with_suffix(".ours")
    needs_base = yaml.safe_load(file.read_text())["merge_method"] in ("slerp", "karcher")
    main(["from-mergekit", str(file), "--out", str(params), *(["--base=base"] if needs_base else [])])
    command = next(line for line in params.read_text().splitlines() if line.startswith("#   wudi merge"))
    main([*shlex.split(command.removeprefix("#   wudi").replace("./merged", str(ours))), "--device=cpu"])
    base, merged, theirs = (load_file(f"{place}/model.safetensors") for place in ("base", ours, file.with_suffix("")))
    return {name: (merged[name] - base[name], theirs[name] - base[name]) for name in base}


def whole(deltas: Deltas) -> tuple[Tensor, Tensor]:
    """All tensors as one vector, ours and theirs."""
    ours, theirs = (torch.cat([pair[side].flatten() for pair in deltas.values()]) for side in (0, 1))
    return ours, theirs


def test_every_case_is_looked_at() -> None:
    assert {*EQUAL, *BUT_FOR_AN_ENTRY, *DRAWN, "model_stock"} == set(CASES)


@pytest.mark.parametrize("case", EQUAL)
def test_equal(deltas: dict[str, Deltas], case: str) -> None:
    ours, theirs = whole(deltas[case])
    assert (theirs - ours).norm() <= 1e-4 * ours.norm()


@pytest.mark.parametrize("case", BUT_FOR_AN_ENTRY)
def test_equal_but_for_an_entry_of_each_expert_and_tensor_at_the_threshold(
    deltas: dict[str, Deltas], case: str
) -> None:
    for ours, theirs in deltas[case].values():
        assert int(((theirs - ours).abs() > 1e-3 * ours.abs().max()).sum()) <= len(WEIGHTS)


@pytest.mark.parametrize("case", DRAWN)
def test_drawn_with_equal_norms(deltas: dict[str, Deltas], case: str) -> None:
    ours, theirs = whole(deltas[case])
    assert theirs.norm() == pytest.approx(float(ours.norm()), rel=0.05)
    assert not torch.allclose(ours, theirs)


def test_model_stock_is_equal_where_experts_do_not_point_apart(deltas: dict[str, Deltas]) -> None:
    moved = [(ours, theirs) for ours, theirs in deltas["model_stock"].values() if ours.any()]
    assert moved
    for ours, theirs in moved:
        torch.testing.assert_close(theirs, ours, atol=1e-6, rtol=1e-3)
