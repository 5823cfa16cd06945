"""Small model folders with a tokenizer, and what transformers makes of them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from wudi.vocabulary import Vocabulary, read_vocabulary

WORDS = ("<unk>", "<s>", "</s>", "the", "sum", "of", "two", "is")
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def word_level(words: Sequence[str] = WORDS, added: Sequence[str | AddedToken] = ()) -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({word: row for row, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_tokens(list(added))
    return tokenizer


def byte_pairs(added: Sequence[str | AddedToken] = ()) -> Tokenizer:
    """A tokenizer like GPT-2's and Llama 3's, with three merges."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the")]
    words = [*letters, *("".join(pair) for pair in merges)]
    tokenizer = Tokenizer(models.BPE({word: row for row, word in enumerate(words)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens(list(added))
    return tokenizer


def sentence_pieces(added: Sequence[str | AddedToken] = ()) -> Tokenizer:
    """A tokenizer like that of the first Llamas, as it is converted from their sentencepiece model."""
    words = ["<unk>", "<s>", "</s>", "▁", "t", "h", "e", "th", "the", "▁the"]
    merges = [("t", "h"), ("th", "e"), ("▁", "the")]
    model = models.BPE({word: row for row, word in enumerate(words)}, merges, unk_token="<unk>", fuse_unk=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.add_tokens(list(added))
    return tokenizer


def saved(folder: Path, tokenizer: Tokenizer, **special: str) -> Path:
    """A tokenizer as transformers saves it, with a chat template."""
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    wrapped.chat_template = TEMPLATE
    wrapped.save_pretrained(folder)
    return folder


def config(folder: Path, **changes: Any) -> None:
    """Change the folder's tokenizer_config.json."""
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def read(folder: Path) -> Vocabulary:
    vocabulary = read_vocabulary(folder)
    assert vocabulary is not None
    return vocabulary


def ids(folder: Path) -> Mapping[str, int]:
    """What transformers says that a folder's vocabulary is."""
    return loaded(folder).get_vocab()


def loaded(folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)
