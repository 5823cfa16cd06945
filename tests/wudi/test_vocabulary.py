import json
import random
from pathlib import Path

import pytest
import torch
from tokenizers import AddedToken

from tests.wudi.vocabularies import byte_pairs, config, ids, loaded, read, saved, word_level
from wudi import WudiError
from wudi.alignment import NONE, align, gather, refuse_differences
from wudi.vocabulary import Vocabulary, read_vocabulary

TOKENS = Vocabulary({f"t{row}": row for row in range(20)})


def shuffled(vocabulary: Vocabulary, seed: int) -> Vocabulary:
    rows = list(vocabulary.ids.values())
    random.Random(seed).shuffle(rows)
    return Vocabulary(dict(zip(vocabulary.ids, rows, strict=True)))


def test_what_is_read_is_what_transformers_has(tmp_path: Path) -> None:
    plain = saved(tmp_path / "plain", word_level(), unk_token="<unk>")
    added = saved(tmp_path / "added", byte_pairs([AddedToken("<x>", special=True), "<y>"]))
    for folder in (plain, added):
        assert read(folder).ids == ids(folder)
    assert read(added).added["<x>"]["special"] and not read(added).added["<y>"]["special"]
    assert read(added).next_id == len(loaded(added))


@pytest.mark.parametrize("beside", ["added_tokens.json", "tokenizer_config.json"])
def test_tokens_that_only_the_files_beside_name(beside: str, tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", word_level())
    if beside == "added_tokens.json":
        (folder / beside).write_text('{"[PAD]": 8, "[SEP]": 9}')
    else:
        flags = {"special": True, "lstrip": False, "rstrip": True, "normalized": False, "single_word": False}
        config(
            folder,
            added_tokens_decoder={str(8 + i): {"content": c, **flags} for i, c in enumerate(["[PAD]", "[SEP]"])},
        )
        assert read(folder).added["[PAD]"] == flags
    assert read(folder).ids == ids(folder)
    assert read(folder).ids["[SEP]"] == 9


def test_a_tokenizer_without_tokenizer_json(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text(json.dumps({"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\n")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')
    assert read(tmp_path).ids == {"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}


def test_a_folder_without_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer_config.json").write_text("{}")
    assert read_vocabulary(tmp_path) is None
    assert read_vocabulary(tmp_path / "model.safetensors") is None


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("tokenizer.json", "{"),
        ("tokenizer.json", "{}"),
        ("added_tokens.json", '{"[PAD]": null}'),
        ("added_tokens.json", "[]"),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"8": "[PAD]"}}'),
        ("tokenizer_config.json", '{"added_tokens_decoder": ["[PAD]"]}'),
    ],
)
def test_a_damaged_file_is_named(file: str, content: str, tmp_path: Path) -> None:
    folder = saved(tmp_path / "model", word_level())
    (folder / file).write_text(content)
    with pytest.raises(WudiError, match=rf"{file}: .*fetch .* again"):
        read_vocabulary(folder)


def test_a_tokenizer_that_transformers_cannot_load(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "tokenizer.model").write_bytes(b"no such thing")
    with pytest.raises(WudiError, match="transformers cannot load its tokenizer"):
        read_vocabulary(tmp_path)


def test_code_in_a_folder_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "own.tiktoken").write_text("")
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: pass\n")
    (tmp_path / "config.json").write_text('{"model_type": "own"}')
    (tmp_path / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["own.Own", null]}}')
    with pytest.raises(WudiError, match="transformers cannot load its tokenizer"):
        read_vocabulary(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("seed", range(5))
def test_aligned_rows_are_in_the_bases_order(seed: int) -> None:
    expert, weight = shuffled(TOKENS, seed), torch.randn(20, 4)
    theirs = torch.empty(20, 4)
    theirs[[expert.ids[token] for token in TOKENS.ids]] = weight
    alignment = align(TOKENS, 20, expert, 20)
    assert torch.equal(gather(theirs, alignment.rows, torch.zeros(20, 4)), weight)
    back = align(expert, 20, TOKENS, 20)
    assert torch.equal(alignment.rows[back.rows], torch.arange(20))
    assert not alignment.new and not alignment.lacking
    assert len(alignment.moved) == int((alignment.rows != torch.arange(20)).sum())


def test_the_same_tokens_are_the_identity() -> None:
    for base, expert in [(TOKENS, TOKENS), (None, TOKENS), (TOKENS, None), (None, None)]:
        alignment = align(base, 24, expert, 24)
        assert alignment.is_identity and not alignment.only_padding
        assert alignment.lines() == []
        assert torch.equal(alignment.rows, torch.arange(24))
        refuse_differences([alignment])


@pytest.mark.parametrize(("base", "expert", "whose"), [(None, TOKENS, "the base"), (TOKENS, None, "the expert")])
def test_other_rows_without_a_tokenizer(base: Vocabulary | None, expert: Vocabulary | None, whose: str) -> None:
    with pytest.raises(
        WudiError, match=rf"^expert math: 21 rows .* base's 20, and {whose} has no tokenizer to align by"
    ):
        align(base, 20, expert, 21, name="math")


def test_an_added_pad(tmp_path: Path) -> None:
    base = read(saved(tmp_path / "base", word_level()))
    expert = read(saved(tmp_path / "expert", word_level(added=[AddedToken("[PAD]", special=True)])))
    alignment = align(base, 8, expert, 9, name="math")
    assert torch.equal(alignment.rows, torch.arange(8))
    assert alignment.new == {"[PAD]": 8} and not alignment.lacking and not alignment.moved
    assert alignment.describe() == "9 rows against the base's 8: token '[PAD]' (row 8) is not in the base"
    with pytest.raises(WudiError) as caught:
        refuse_differences([align(base, 8, base, 8, name="same"), alignment])
    message = str(caught.value)
    assert message.startswith(f"expert math: {alignment.describe()}\n") and "same" not in message.splitlines()[0]
    assert "vocabulary: base" in message and "vocabulary: union" in message


@pytest.mark.parametrize(("theirs", "words"), [(24, "4 more rows of padding"), (19, "1 fewer row of padding")])
def test_only_the_padding_differs(theirs: int, words: str, tmp_path: Path) -> None:
    tokens = read(saved(tmp_path / "model", word_level()))
    alignment = align(tokens, 20, tokens, theirs)
    assert alignment.only_padding and not alignment.is_identity
    assert alignment.describe() == f"{theirs} rows against the base's 20: {words}, no token differs"
    expected = torch.arange(20)
    expected[theirs:] = NONE
    assert torch.equal(alignment.rows, expected)
    with pytest.raises(WudiError, match="no token differs"):
        refuse_differences([alignment])


def test_a_reserved_token_renamed(tmp_path: Path) -> None:
    base = read(saved(tmp_path / "base", byte_pairs(["<reserved_0>", "<reserved_1>"])))
    expert = read(saved(tmp_path / "expert", byte_pairs(["<|im_start|>", "<reserved_1>"])))
    row = base.ids["<reserved_0>"]
    alignment = align(base, 300, expert, 300)
    assert alignment.rows[row] == NONE
    assert torch.equal(alignment.rows.ne(torch.arange(300)).nonzero(), torch.tensor([[row]]))
    assert alignment.describe() == "; ".join(alignment.lines())
    assert alignment.lines() == [
        f"token '<|im_start|>' (row {row}) is not in the base",
        f"token '<reserved_0>' (row {row} of the base) is not there",
    ]


def test_a_token_in_what_is_padding_in_the_base() -> None:
    alignment = align(TOKENS, 24, Vocabulary({**TOKENS.ids, "<x>": 21}), 24)
    assert alignment.rows.tolist() == [*range(21), NONE, 22, 23]
    assert alignment.new == {"<x>": 21}


def test_the_first_tokens_are_named_and_the_others_counted() -> None:
    expert = shuffled(TOKENS, 3)
    (line,) = align(TOKENS, 20, expert, 20).lines()
    moved = [token for token, row in TOKENS.ids.items() if expert.ids[token] != row]
    assert line.startswith(
        f"tokens '{moved[0]}' (row {expert.ids[moved[0]]} there, {TOKENS.ids[moved[0]]} in the base)"
    )
    assert line.endswith(f"and {len(moved) - 3} more are at other rows") and f"'{moved[3]}'" not in line
    two = align(TOKENS, 20, Vocabulary({**TOKENS.ids, "<x>": 20, "<y>": 21}), 22)
    assert two.lines() == ["tokens '<x>' (row 20) and '<y>' (row 21) are not in the base"]


def test_a_tokenizer_may_know_more_than_its_model() -> None:
    wide = Vocabulary({**TOKENS.ids, "<x>": 20, "<y>": 21})
    assert align(TOKENS, 20, wide, 20).is_identity
    assert align(wide, 20, TOKENS, 20).is_identity
    assert align(TOKENS, 20, wide, 21).new == {"<x>": 20}
    assert align(wide, 22, wide, 21).lacking == {"<y>": 21}


def test_gathering_keeps_what_the_expert_has_not() -> None:
    alignment = align(TOKENS, 20, Vocabulary({"t3": 0, "t1": 1}), 2)
    base, weight = torch.randn(20, 4), torch.randn(2, 4)
    gathered = gather(weight, alignment.rows, base)
    assert torch.equal(gathered[[3, 1]], weight)
    others = [row for row in range(20) if row not in (1, 3)]
    assert torch.equal(gathered[others], base[others])
