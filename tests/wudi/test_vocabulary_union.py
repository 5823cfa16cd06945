import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import AddedToken

from tests.wudi.vocabularies import (
    TEMPLATE,
    WORDS,
    byte_pairs,
    config,
    ids,
    loaded,
    read,
    saved,
    sentence_pieces,
    word_level,
)
from wudi import WudiError
from wudi.alignment import NONE, align, gather
from wudi.tokenizer_union import write_union_tokenizer
from wudi.vocabulary import Vocabulary, read_vocabulary
from wudi.vocabulary_union import Union, plan_union

TOKENS = {f"t{row}": row for row in range(10)}


def known(folders: Sequence[Path]) -> list[Vocabulary]:
    return [vocabulary for vocabulary in map(read_vocabulary, folders) if vocabulary is not None]


def planned(base: Mapping[str, int], rows: int, *experts: tuple[Mapping[str, int], int]) -> Union:
    ours = Vocabulary(base)
    return plan_union(ours, rows, [align(ours, rows, Vocabulary(theirs), count) for theirs, count in experts])


def test_nothing_new() -> None:
    union = planned(TOKENS, 12, (TOKENS, 12), (TOKENS, 16))
    assert union.tokens == {} and union.rows == 12
    assert torch.equal(union.base, torch.arange(12))
    assert all(torch.equal(rows, torch.arange(12)) for rows in union.experts)
    assert plan_union(None, 12, [align(None, 12, None, 12)]).rows == 12


def test_a_new_token_keeps_the_row_that_comes_next() -> None:
    union = planned(TOKENS, 10, ({**TOKENS, "[PAD]": 10}, 11))
    assert union.tokens == {"[PAD]": 10} and union.rows == 11
    assert union.experts[0].tolist() == list(range(11))
    assert union.base.tolist() == [*range(10), NONE]


def test_experts_share_a_token_and_have_their_own() -> None:
    first, second = {**TOKENS, "<b>": 11, "<a>": 10}, {**TOKENS, "<c>": 10, "<a>": 11, "<d>": 12}
    union = planned(TOKENS, 10, (first, 12), (second, 13))
    assert union.tokens == {"<a>": 10, "<b>": 11, "<c>": 12, "<d>": 13}
    assert union.rows == 14
    assert union.experts[0].tolist() == [*range(12), NONE, NONE]
    assert union.experts[1].tolist() == [*range(10), 11, NONE, 10, 12]
    assert union.owned == ({"<a>": 10, "<b>": 11}, {"<c>": 10, "<a>": 11, "<d>": 12})


def test_padding_is_filled_before_the_matrix_grows() -> None:
    one, more = {**TOKENS, "<a>": 10}, {**TOKENS, **{f"<{row}>": row for row in range(11, 14)}}
    union = planned(TOKENS, 12, (one, 12), (TOKENS, 12))
    assert union.rows == 12 and union.tokens == {"<a>": 10}
    assert union.base.tolist() == [*range(10), NONE, 11]
    assert union.experts[1].tolist() == [*range(10), NONE, 11]
    grown = planned(TOKENS, 12, (one, 12), (more, 16))
    assert grown.tokens == {"<a>": 10, "<11>": 11, "<12>": 12, "<13>": 13} and grown.rows == 14
    assert grown.experts[0].tolist() == [*range(11), NONE, NONE, NONE]
    assert grown.experts[1].tolist() == [*range(10), NONE, 11, 12, 13]


def test_a_token_that_only_the_bases_matrix_lacks_keeps_its_id() -> None:
    base = {**TOKENS, "<x>": 10, "<y>": 11}
    union = planned(base, 10, ({**TOKENS, "<z>": 10, "<y>": 11}, 12))
    assert union.tokens == {"<z>": 12, "<y>": 11} and union.rows == 13
    assert union.base.tolist() == [*range(10), NONE, NONE, NONE]
    assert union.experts[0].tolist() == [*range(10), NONE, 11, 10]


def test_every_token_finds_its_row() -> None:
    """Whatever the order of the experts' rows, a token's row of the union is its row of the expert."""
    base = Vocabulary(TOKENS)
    experts = [Vocabulary({f"t{(row * step) % 17}": row for row in range(16)}) for step in (3, 5, 7)]
    union = plan_union(base, 10, [align(base, 10, expert, 16) for expert in experts])
    everything = {**TOKENS, **union.tokens}
    assert sorted(everything.values()) == list(range(union.rows))
    for expert, rows in zip(experts, union.experts, strict=True):
        weight = torch.randn(16, 3)
        result = gather(weight, rows, torch.full((union.rows, 3), torch.nan))
        for token, row in everything.items():
            at = expert.ids.get(token)
            assert result[row].isnan().all() if at is None else torch.equal(result[row], weight[at])


def of_folders(base: Path, base_rows: int, *experts: Path) -> Union:
    ours = read(base)
    return plan_union(
        ours, base_rows, [align(ours, base_rows, read(folder), read(folder).next_id) for folder in experts]
    )


def trio(folder: Path, **special: Any) -> tuple[Path, list[Path]]:
    tool = AddedToken("<tool>", special=True)
    return saved(folder / "base", byte_pairs(["<s>"]), bos_token="<s>", **special), [
        saved(folder / "first", byte_pairs(["<s>", tool, AddedToken("<think>", lstrip=True, normalized=False)])),
        saved(folder / "second", byte_pairs(["<s>", AddedToken("<pad>", special=True), tool]), pad_token="<pad>"),
    ]


def test_the_tokenizer_of_a_union(tmp_path: Path) -> None:
    base, experts = trio(tmp_path)
    union = of_folders(base, 300, *experts)
    assert list(union.tokens) == ["<tool>", "<think>", "<pad>"] and union.rows == 300
    write_union_tokenizer(base, known(experts), union, tmp_path / "out")
    before, after = loaded(base), loaded(tmp_path / "out")
    assert ids(tmp_path / "out") == {**ids(base), **union.tokens}
    assert after.encode("the<tool> the  <think>") == [
        *before.encode("the"),
        union.tokens["<tool>"],
        *before.encode(" the"),
        union.tokens["<think>"],
    ]
    assert after.decode(after.encode("the<tool> the<pad>"), skip_special_tokens=True) == "the the"
    assert after.chat_template == before.chat_template == TEMPLATE
    assert after.special_tokens_map == before.special_tokens_map == {"bos_token": "<s>"}
    assert after.encode("sum the two") == before.encode("sum the two")
    written = read(tmp_path / "out").added
    assert written["<think>"] == read(experts[0]).added["<think>"] and written["<think>"]["lstrip"]
    assert written["<tool>"]["special"] and not written["<think>"]["special"]


def test_the_same_union_gives_the_same_bytes(tmp_path: Path) -> None:
    base, experts = trio(tmp_path)
    union = of_folders(base, 300, *experts)
    for name in ("one", "other"):
        write_union_tokenizer(base, known(experts), union, tmp_path / name)
    one, other = ({file.name: file.read_bytes() for file in (tmp_path / name).iterdir()} for name in ("one", "other"))
    assert one == other and not any(name.endswith(".tmp") for name in one)


def test_a_config_that_lists_added_tokens_lists_the_new_ones(tmp_path: Path) -> None:
    base, experts = trio(tmp_path)
    row, flags = read(base).ids["<s>"], dict(read(base).added["<s>"])
    config(
        base, added_tokens_decoder={str(row): {"content": "<s>", **flags}}, tokenizer_class="PreTrainedTokenizerFast"
    )
    (base / "added_tokens.json").write_text(json.dumps({"<s>": row}))
    union = of_folders(base, row + 1, *experts)
    write_union_tokenizer(base, known(experts), union, tmp_path / "out")
    listed = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())["added_tokens_decoder"]
    assert {token["content"]: int(row) for row, token in listed.items()} == {"<s>": row, **union.tokens}
    assert json.loads((tmp_path / "out" / "added_tokens.json").read_text()) == {"<s>": row, **union.tokens}
    assert ids(tmp_path / "out") == {**ids(base), **union.tokens}


def test_tokens_that_the_base_keeps_beside_tokenizer_json_come_first(tmp_path: Path) -> None:
    base = saved(tmp_path / "base", word_level())
    (base / "added_tokens.json").write_text('{"[PAD]": 8}')
    expert = saved(tmp_path / "expert", word_level(added=["[PAD]", "<x>"]))
    union = of_folders(base, 9, expert)
    assert union.tokens == {"<x>": 9}
    write_union_tokenizer(base, known([expert]), union, tmp_path / "out")
    assert ids(tmp_path / "out") == {**ids(expert)}


@pytest.mark.parametrize("listed", [True, False])
def test_a_base_like_the_first_llamas(listed: bool, tmp_path: Path) -> None:
    special = [AddedToken(token, special=True, normalized=False) for token in ("<unk>", "<s>", "</s>")]
    base = saved(tmp_path / "base", sentence_pieces(special), unk_token="<unk>", bos_token="<s>", eos_token="</s>")
    noted = {str(row): {"content": token, **read(base).added[token]} for row, token in enumerate(read(base).added)}
    config(base, tokenizer_class="LlamaTokenizer", **({"added_tokens_decoder": noted} if listed else {}))
    assert type(loaded(base)).__name__ == "LlamaTokenizer"
    expert = saved(tmp_path / "expert", sentence_pieces([*special, AddedToken("[PAD]", special=True)]))
    union = of_folders(base, len(loaded(base)), expert)
    assert union.tokens == {"[PAD]": len(loaded(base))}
    write_union_tokenizer(base, known([expert]), union, tmp_path / "out")
    after = loaded(tmp_path / "out")
    assert type(after) is type(loaded(base)) and after.get_vocab() == {**ids(base), **union.tokens}
    assert after.encode("the[PAD]") == [*loaded(base).encode("the"), union.tokens["[PAD]"]]


@pytest.mark.parametrize("name", ["GPT2Tokenizer", "LlamaTokenizer", "Qwen2Tokenizer"])
def test_a_class_of_its_own(name: str, tmp_path: Path) -> None:
    base, experts = trio(tmp_path)
    config(base, tokenizer_class=name, bos_token="<s>", eos_token="<s>", unk_token="<s>", pad_token="<s>")
    union = of_folders(base, read(base).next_id, *experts)
    write_union_tokenizer(base, known(experts), union, tmp_path / "out")
    assert {token: ids(tmp_path / "out")[token] for token in union.tokens} == union.tokens
    assert type(loaded(tmp_path / "out")) is type(loaded(base))


def test_a_base_without_tokenizer_json(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "vocab.json").write_text(json.dumps({"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}))
    (base / "merges.txt").write_text("#version: 0.2\na b\n")
    (base / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer", "model_max_length": 7}))
    expert = saved(tmp_path / "expert", word_level(["<|endoftext|>"], [AddedToken("<x>", special=True)]))
    union = of_folders(base, 4, expert)
    assert union.tokens == {"<x>": 4}
    write_union_tokenizer(base, known([expert]), union, tmp_path / "out")
    after = loaded(tmp_path / "out")
    assert after.encode("ab<x>b") == [2, 4, 1]
    assert (
        after.model_max_length == 7
        and "<x>" in after.decode([4])
        and after.decode([4, 2], skip_special_tokens=True) == "ab"
    )


def test_without_new_tokens_the_files_are_the_bases(tmp_path: Path) -> None:
    base, _ = trio(tmp_path)
    write_union_tokenizer(base, [], of_folders(base, 300, base), tmp_path / "out")
    for file in base.iterdir():
        assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()


def test_what_transformers_would_put_elsewhere_is_refused(tmp_path: Path) -> None:
    base, experts = trio(tmp_path)
    union = of_folders(base, 300, *experts)
    wrong = Union({**union.tokens, "<pad>": 290}, 300, union.base, union.experts, union.owned)
    with pytest.raises(WudiError, match="token '<pad>' belongs to row 290 and transformers has it at row 2"):
        write_union_tokenizer(base, known(experts), wrong, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_with_code_of_its_own_is_refused(tmp_path: Path) -> None:
    base, experts = trio(tmp_path)
    config(base, tokenizer_class="Own", auto_map={"AutoTokenizer": ["own.Own", None]})
    with pytest.raises(WudiError, match=f"^{base}: transformers cannot load its tokenizer"):
        write_union_tokenizer(base, known(experts), of_folders(base, 300, *experts), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_base_without_tokenizer_is_refused(tmp_path: Path) -> None:
    union = planned(TOKENS, 10, ({**TOKENS, "<x>": 10}, 11))
    (tmp_path / "base").mkdir()
    with pytest.raises(WudiError, match="has no tokenizer that tokens could be added to"):
        write_union_tokenizer(tmp_path / "base", [], union, tmp_path / "out")


def test_a_gap_in_the_bases_ids_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    words = dict.fromkeys(WORDS)
    base = saved(tmp_path / "base", word_level(list(words)))
    file = base / "tokenizer.json"
    content = json.loads(file.read_text())
    content["model"]["vocab"]["is"] = 12
    file.write_text(json.dumps(content))
    expert = saved(tmp_path / "expert", word_level(added=["<x>"]))
    with pytest.raises(WudiError, match="token '<x>' belongs to row 13 and transformers has it at row 8"):
        write_union_tokenizer(base, known([expert]), of_folders(base, 16, expert), tmp_path / "out")
    assert not (tmp_path / "out").exists()
