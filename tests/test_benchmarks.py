"""What the benchmarks stand on: the models they are of, the measured process, the page that several of them write."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.agreement import agreement, contested
from benchmarks.models import Llama, on_disk
from benchmarks.page import put_page, put_section
from benchmarks.process import measured
from wudi.errors import WudiError

TINY = Llama(hidden=32, intermediate=48, layers=2, vocabulary=64, heads=4, key_value_heads=2)


@pytest.fixture
def models(tmp_path: Path) -> list[Path]:
    with on_disk(TINY, 2, tmp_path, outputs=1) as paths:
        return [path.rename(tmp_path / path.name) for path in paths]


@pytest.mark.parametrize("tied", [False, True])
def test_transformers_opens_a_drawn_model(tied: bool, tmp_path: Path) -> None:
    shape = replace(TINY, tied=tied)
    with on_disk(shape, 0, tmp_path, outputs=0) as (base,):
        model, loading = AutoModelForCausalLM.from_pretrained(base, output_loading_info=True)
        assert not any(loading[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
        assert model.num_parameters() == shape.parameters
        assert (base / "model.safetensors").stat().st_size > shape.bytes
        assert AutoTokenizer.from_pretrained(base).eos_token_id == model.config.eos_token_id
    assert not list(tmp_path.iterdir())


def test_models_are_about_as_large_as_asked() -> None:
    assert Llama().of_about(374e6).parameters == pytest.approx(374e6, rel=0.02)
    assert Llama().of_about(1.0).layers == 1


def test_models_for_which_the_disk_has_no_room(tmp_path: Path) -> None:
    with pytest.raises(WudiError, match="needs"), on_disk(replace(TINY, vocabulary=1 << 40), 1, tmp_path, outputs=1):
        pass


def test_a_merge_agrees_with_itself_and_not_with_another(models: list[Path]) -> None:
    base, one, other = models
    same = agreement(models, one, one, density=None)
    assert (same.difference, same.norms, same.left_out) == (0.0, 1.0, 0.0)
    assert agreement(models, one, other, density=None).difference > 0.5
    assert agreement(models, one, base, density=None).norms == 0.0


def test_what_is_left_out_may_differ_and_nothing_else_may(models: list[Path], tmp_path: Path) -> None:
    name = "model.layers.0.mlp.gate_proj.weight"
    base, *experts = (load_file(model / "model.safetensors") for model in models)
    open_to_both = contested([expert[name].float() - base[name].float() for expert in experts], density=0.2)
    assert 0 < int(open_to_both.sum()) < open_to_both.numel() // 2
    for where, agrees in ((open_to_both, True), (~open_to_both, False)):
        changed = dict(experts[0])
        changed[name] = torch.where(where, changed[name] + 1.0, changed[name])
        save_file(changed, tmp_path / "changed.safetensors", {"format": "pt"})
        found = agreement(models, models[1], tmp_path / "changed.safetensors", density=0.2)
        assert (found.difference == 0.0) == agrees


def test_the_memory_of_a_process_is_its_own() -> None:
    held = torch.ones(100_000_000)
    small = measured([sys.executable, "-c", "pass"], {})
    large = measured([sys.executable, "-c", "held = bytearray(200_000_000)"], {})
    assert small.memory < 100_000_000 < 200_000_000 < large.memory < 300_000_000 < held.nbytes


def test_a_process_that_fails() -> None:
    with pytest.raises(WudiError, match="failed with status 3: no luck"):
        measured([sys.executable, "-c", "import sys; print('no luck'); sys.exit(3)"], {})


def test_a_page_keeps_the_sections_of_others(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    put_section("peers", "first", page)
    put_page("# Page\n", page)
    put_section("memory", "figures", page)
    put_section("peers", "second", page)
    put_page("# Page, anew\n", page)
    put_page("# Page, anew\n", page)
    assert page.read_text() == (
        "# Page, anew\n\n<!-- peers -->\nsecond\n<!-- /peers -->\n\n<!-- memory -->\nfigures\n<!-- /memory -->\n"
    )
