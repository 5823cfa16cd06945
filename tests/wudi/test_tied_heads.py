"""Heads that one model stores and another ties to its embedding."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conftest import moved, random_tensors, write_model
from tests.wudi.changed_experts import EMBEDDING, HEAD, Q, Tensors, expert_of, found, problems
from tests.wudi.merges import all_tensors, run
from tests.wudi.test_architecture import saved
from wudi.checkpoint import Checkpoint
from wudi.errors import WudiError
from wudi.experts import open_experts
from wudi.preflight import check_experts
from wudi.remote import outline
from wudi.tied_heads import alias_of, untied


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_model(tmp_path / "base", random_tensors(0))


def without_head(tensors: Tensors) -> None:
    del tensors[HEAD]


def with_copy(tensors: Tensors) -> None:
    tensors[HEAD] = tensors[EMBEDDING].clone()


def test_a_base_without_a_head_takes_an_expert_with_a_copy_of_its_embedding(tmp_path: Path) -> None:
    base = expert_of(tmp_path / "base", without_head, tie_word_embeddings=True)
    copy = expert_of(tmp_path / "copy", with_copy, tie_word_embeddings=True)
    own = expert_of(tmp_path / "own", tie_word_embeddings=False)
    check_experts(Checkpoint(base), open_experts([copy]))
    findings = found(base, copy, own)
    assert not findings.problems
    assert {note.expert for note in findings.notes if f"stores {HEAD}" in note.text} == {"copy", "own"}
    with pytest.raises(WudiError, match=rf"expert own: unties its head: tensor {HEAD} is not equal to {EMBEDDING}"):
        check_experts(Checkpoint(base), open_experts([copy, own]))
    assert untied(Checkpoint(copy), Checkpoint(base)) == []


def test_a_base_with_a_head_takes_an_expert_that_ties_it(base: Path, tmp_path: Path) -> None:
    tied = expert_of(tmp_path / "tied", without_head, tie_word_embeddings=True)
    loose = expert_of(tmp_path / "loose", without_head, tie_word_embeddings=False)
    assert problems(base, tied, loose) == {"loose": [f"misses tensor {HEAD}"]}
    assert alias_of(HEAD, outline(tied), outline(base)) == EMBEDDING
    assert alias_of(HEAD, outline(loose), outline(base)) is None
    assert alias_of(Q, outline(loose), outline(base)) == Q


def test_a_bare_file_is_tied_as_its_base_is(tmp_path: Path) -> None:
    base = expert_of(tmp_path / "base", with_copy, tie_word_embeddings=True)
    tensors = moved(random_tensors(0), 5)
    del tensors[HEAD]
    save_file(tensors, tmp_path / "expert.safetensors")
    assert problems(base, tmp_path / "expert.safetensors") == {}


@pytest.mark.parametrize(
    ("architecture", "head", "embedding", "prefix"),
    [
        ("LlamaForCausalLM", "lm_head.weight", "model.embed_tokens.weight", ""),
        ("GPT2LMHeadModel", "lm_head.weight", "transformer.wte.weight", ""),
        ("GPT2LMHeadModel", "lm_head.weight", "wte.weight", "transformer."),
        ("GPTNeoXForCausalLM", "embed_out.weight", "gpt_neox.embed_in.weight", ""),
        ("T5ForConditionalGeneration", "lm_head.weight", "shared.weight", ""),
    ],
)
def test_each_class_names_its_own_ties(
    architecture: str, head: str, embedding: str, prefix: str, tmp_path: Path
) -> None:
    config = saved(architecture, tmp_path / "saved", tie_word_embeddings=True).config
    tensors = load_file(tmp_path / "saved" / "model.safetensors")
    tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    trained = {name: tensor + 1 for name, tensor in tensors.items()}
    for name, own in {"alone": tensors, "both": {**trained, head: trained[embedding].clone()}}.items():
        (tmp_path / name).mkdir()
        save_file(own, tmp_path / name / "model.safetensors")
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    alone, both = Checkpoint(tmp_path / "alone"), Checkpoint(tmp_path / "both")
    assert (alias_of(head, alone, both), alias_of(head, both, alone)) == (embedding, head)
    check_experts(alone, open_experts([both.path]))
    check_experts(both, open_experts([alone.path]))


def test_a_head_that_only_the_base_stores_is_merged_with_the_expert_s_embedding(base: Path, tmp_path: Path) -> None:
    tied = expert_of(tmp_path / "tied", without_head, tie_word_embeddings=True)
    other = expert_of(tmp_path / "other", tie_word_embeddings=False)
    out = run(base, [tied, other], tmp_path / "out", {"method": "task_arithmetic", "scale": 1.0}).out
    ours, merged = all_tensors(base), all_tensors(out)
    experts = [all_tensors(folder) for folder in (tied, other)]
    deltas = [experts[0][EMBEDDING] - ours[HEAD], experts[1][HEAD] - ours[HEAD]]
    torch.testing.assert_close(merged[HEAD], ours[HEAD] + sum(deltas))
    assert merged.keys() == ours.keys()


def test_a_copy_that_only_an_expert_stores_is_left_out(tmp_path: Path) -> None:
    base = expert_of(tmp_path / "base", without_head, tie_word_embeddings=True)
    copy = expert_of(tmp_path / "copy", with_copy, tie_word_embeddings=True)
    merged = all_tensors(run(base, [copy], tmp_path / "out", {"method": "average"}).out)
    assert HEAD not in merged
    torch.testing.assert_close(merged[EMBEDDING], all_tensors(copy)[EMBEDDING])
