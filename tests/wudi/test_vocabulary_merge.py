"""Merges of models with other vocabularies: aligned by token, embeddings and heads alike, and said so."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from tests.wudi.merges import all_tensors, run, run_command
from tests.wudi.vocabularies import WORDS, loaded, saved, word_level
from wudi.checkpoint import Checkpoint
from wudi.errors import WudiError
from wudi.experts import Expert, open_experts
from wudi.merge import MergeReport, merge
from wudi.recipe import Recipe
from wudi.task_vectors import write_task_vector

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
TABLES = (EMBEDDING, HEAD)


def model(folder: Path, words: Sequence[str], rows: int, seed: int, tied: bool = False) -> Path:
    """A Llama with a tokenizer of these words and so many rows of embeddings."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=rows,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        tie_word_embeddings=tied,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return saved(folder, word_level(words))


def rows_of(folder: Path, tensor: str) -> dict[str, Tensor]:
    """Each token's row."""
    weight, vocabulary = all_tensors(folder)[tensor], loaded(folder).get_vocab()
    return {token: weight[row] for token, row in vocabulary.items() if row < len(weight)}


def assert_rows_are_means(out: Path, models: Sequence[Path], tables: Sequence[str] = TABLES) -> None:
    """That each token's row is the mean of its rows in the experts, with the base's where an expert has none."""
    base, *experts = models
    for table in tables:
        merged, ours = rows_of(out, table), rows_of(base, table)
        theirs = [rows_of(expert, table) for expert in experts]
        for token, row in merged.items():
            known = [own[token] for own in theirs if token in own]
            if token in ours:
                known += [ours[token]] * (len(theirs) - len(known))
            torch.testing.assert_close(row, torch.stack(known).mean(dim=0), msg=f"{table} {token}")


def average(base: Path, experts: Sequence[Path], out: Path, vocabulary: str, **options: Any) -> MergeReport:
    return run(base, experts, out, {"method": "average"}, vocabulary=vocabulary, **options)


@pytest.fixture
def trio(tmp_path: Path) -> list[Path]:
    """A base, an expert with a padding token at the end, and one with the base's words in another order."""
    return [
        model(tmp_path / "base", WORDS, 8, 0),
        model(tmp_path / "padded", (*WORDS, "[PAD]"), 9, 1),
        model(tmp_path / "moved", (*WORDS[:3], *reversed(WORDS[3:])), 8, 2),
    ]


def test_other_tokens_are_an_error_that_names_the_remedy(trio: list[Path], tmp_path: Path) -> None:
    base, padded, moved = trio
    with pytest.raises(WudiError, match=r"expert padded: .*9 rows, the base's 8.*vocabulary: union"):
        average(base, [padded], tmp_path / "out", "error")
    with pytest.raises(WudiError, match=r"expert moved: tokens 'the' .*at other rows(.|\n)*vocabulary: base"):
        average(base, [moved], tmp_path / "out", "error")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("workers", [1, 3])
def test_the_base_s_tokens(trio: list[Path], tmp_path: Path, workers: int) -> None:
    base, *experts = trio
    lines: list[str] = []
    report = average(base, experts, tmp_path / "out", "base", workers=workers, say=lines.append)
    assert_rows_are_means(report.out, trio)
    assert loaded(report.out).get_vocab() == loaded(base).get_vocab()
    assert all_tensors(report.out)[EMBEDDING].shape == (8, 16)
    assert any(
        "padded: 9 rows against the base's 8: token '[PAD]' (row 8) is not in the base" in line for line in lines
    )
    assert report.record["vocabulary"] == lines[:3]
    assert "'[PAD]' (row 8) is not in the base" in (report.out / "README.md").read_text()


@pytest.mark.parametrize("method", ["average", "task_arithmetic", "ties", "dare_ties", "pcb", "wudi", "model_stock"])
def test_the_tokens_of_all(trio: list[Path], tmp_path: Path, method: str) -> None:
    base, *experts = trio
    other = model(tmp_path / "other", (*WORDS, "<tool>", "[PAD]"), 12, 3)
    recipe = {"method": method, "rest": "average"}
    out = run(base, [*experts, other], tmp_path / "out", recipe, vocabulary="union").out
    assert_rows_are_means(out, [*trio, other])
    assert loaded(out).get_vocab() == {**loaded(base).get_vocab(), "[PAD]": 8, "<tool>": 9}
    merged = AutoModelForCausalLM.from_pretrained(out)
    assert merged.config.vocab_size == 10
    assert merged(torch.tensor([[8, 9, 3]])).logits.shape == (1, 3, 10)
    assert loaded(out)("the sum <tool>").input_ids == [3, 4, 9]
    assert loaded(out).chat_template == loaded(base).chat_template


def test_padding_alone(tmp_path: Path) -> None:
    """As Qwen pads: more rows, and the same tokens."""
    base, expert = model(tmp_path / "base", WORDS, 10, 0), model(tmp_path / "expert", WORDS, 16, 1)
    with pytest.raises(WudiError, match="16 rows, the base's 10"):
        average(base, [expert], tmp_path / "out", "error")
    for vocabulary in ("base", "union"):
        out = average(base, [expert], tmp_path / f"out-{vocabulary}", vocabulary).out
        assert_rows_are_means(out, [base, expert])
        for table in TABLES:
            torch.testing.assert_close(all_tensors(out)[table][8:], all_tensors(expert)[table][8:10])


def test_tied_heads_are_aligned_with_their_embedding(tmp_path: Path) -> None:
    base = model(tmp_path / "base", WORDS, 8, 0, tied=True)
    expert = model(tmp_path / "expert", (*WORDS, "[PAD]"), 9, 1, tied=True)
    out = average(base, [expert], tmp_path / "out", "union").out
    assert_rows_are_means(out, [base, expert], [EMBEDDING])
    merged = AutoModelForCausalLM.from_pretrained(out)
    assert merged.lm_head.weight is merged.model.embed_tokens.weight


@pytest.mark.parametrize("vocabulary", ["base", "union"])
def test_through_task_vectors(trio: list[Path], tmp_path: Path, vocabulary: Any) -> None:
    """The pipeline's way: each expert is subtracted by itself, and gives what merging the experts gives."""
    base, *experts = trio
    direct = average(base, experts, tmp_path / "direct", vocabulary).out
    vectors = []
    for expert in open_experts(experts):
        write_task_vector(Checkpoint(base), expert, tmp_path / "vectors" / expert.name, vocabulary=vocabulary)
        vectors.append(Expert(expert.name, Checkpoint(tmp_path / "vectors" / expert.name)))
    recipe = Recipe.parse({"method": "average"})
    out = merge(Checkpoint(base), vectors, recipe, tmp_path / "out", device="cpu", vocabulary=vocabulary).out
    expected, found = all_tensors(direct), all_tensors(out)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, msg=name)
    assert loaded(out).get_vocab() == loaded(direct).get_vocab()
    with pytest.raises(WudiError, match="other tokens"):
        write_task_vector(Checkpoint(base), open_experts(experts)[0], tmp_path / "refused")


def test_rows_that_no_tokenizer_explains(trio: list[Path], tmp_path: Path) -> None:
    base, padded, _ = trio
    for file in padded.glob("token*"):
        file.unlink()
    with pytest.raises(WudiError, match="has no tokenizer to align by"):
        average(base, [padded], tmp_path / "out", "base")


def test_a_resumed_merge_has_the_same_policy(trio: list[Path], tmp_path: Path) -> None:
    base, *experts = trio
    first = average(base, experts, tmp_path / "out", "base").record
    second = average(base, experts, tmp_path / "out", "union", overwrite=True).record
    assert first["outputs"] != second["outputs"]


def test_on_the_command_line(trio: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, *experts = trio
    run_command(base, experts, tmp_path / "out", "--method=average", "--vocabulary=union")
    assert "the merged model has 9 rows: the base's tokens, then '[PAD]' (row 8)" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "config.json").read_text())["vocab_size"] == 9


def test_a_damaged_tokenizer_is_no_missing_one(trio: list[Path], tmp_path: Path) -> None:
    base, *_ = trio
    expert = model(tmp_path / "expert", WORDS, 8, 4)
    (expert / "tokenizer.json").write_text("{")
    for vocabulary in ("error", "base", "union"):
        with pytest.raises(WudiError, match=r"tokenizer\.json: not a sound tokenizer"):
            average(base, [expert], tmp_path / f"out-{vocabulary}", vocabulary)


def test_a_tokenizer_that_needs_a_package_is_told_of(trio: list[Path], tmp_path: Path) -> None:
    base, padded, _ = trio
    expert = model(tmp_path / "expert", WORDS, 8, 4)
    for folder in (expert, padded):
        for file in folder.glob("token*"):
            file.unlink()
        (folder / "tokenizer.model").write_bytes(b"pieces that only sentencepiece reads")
        (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer"}')
    report = average(base, [expert], tmp_path / "out", "error")
    assert "expert expert: its rows are taken for those of the base's tokens" in report.record["vocabulary"][0]
    with pytest.raises(WudiError, match="cannot load its tokenizer"):
        average(base, [padded], tmp_path / "other", "base")
