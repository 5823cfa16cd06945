"""The tokenizer of a merged model that has its experts' tokens too: the base's, with these added."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from wudi.errors import WudiError
from wudi.folder import LocalFolder, read_json
from wudi.vocabulary import ADDED_TOKENS, TOKENIZER, TOKENIZER_CONFIG, Vocabulary, load_tokenizer, read_vocabulary
from wudi.vocabulary_union import Union

if TYPE_CHECKING:
    from tokenizers import AddedToken

MODEL_CONFIG = "config.json"
"""By which transformers chooses the tokenizer's class; it is the model's, and is not written here."""
FILES = (
    "tokenizer*",
    "vocab.*",
    "merges.txt",
    ADDED_TOKENS,
    "special_tokens_map.json",
    "chat_template*",
    "*.model",
    "*.spm",
    "*.tiktoken",
    "tekken.json",
)
"""What a tokenizer is made of, whatever its kind."""


def write_union_tokenizer(base: Path, experts: Sequence[Vocabulary], union: Union, out: Path) -> None:
    """Write the tokenizer of the folder `base` with the union's new tokens into the folder `out`.

    Each new token has the flags that the first expert which knows it gives it; a token of an expert's own vocabulary,
    to which no flags belong, is matched in the text as it is written. Everything else is the base's: special tokens,
    chat template, what is done to a text. Nothing is written before transformers loads the result with every token at
    its row. The model's config.json is left alone: its `vocab_size` has to become `union.rows`
    (see `wudi.vocabulary_tensors.with_vocab_size`).

    Raises:
        WudiError: The base has no tokenizer, or transformers puts a token elsewhere or cannot load the result.
    """
    ours = read_vocabulary(base)
    if ours is None:
        raise WudiError(f"{base}: has no tokenizer that tokens could be added to; merge with `vocabulary: base`")
    new = sorted((token for token in union.tokens if token not in ours.ids), key=union.tokens.__getitem__)
    with TemporaryDirectory() as scratch:
        draft = Path(scratch)
        for file in [*tokenizer_files(base), base / MODEL_CONFIG]:
            if file.is_file():
                shutil.copyfile(file, draft / file.name)
        if new:
            add_tokens(draft, base, ours, [added_token(token, experts) for token in new])
        check_rows(base, draft, {**ours.ids, **union.tokens})
        out.mkdir(parents=True, exist_ok=True)
        for file in tokenizer_files(draft):
            install(file, out / file.name)


def tokenizer_files(folder: Path) -> list[Path]:
    """The files of a folder that are its tokenizer's."""
    return sorted({file for pattern in FILES for file in folder.glob(pattern) if file.is_file()})


def added_token(token: str, known: Sequence[Vocabulary]) -> "AddedToken":
    """A token with the flags of the first vocabulary that has it."""
    from tokenizers import AddedToken

    first = next((vocabulary for vocabulary in known if token in vocabulary.ids), None)
    return AddedToken(token, **(first.added.get(token, {}) if first else {}))


def add_tokens(folder: Path, base: Path, ours: Vocabulary, new: list["AddedToken"]) -> None:
    """Add tokens to the tokenizer in a folder, which is a copy of the base's, in this order."""
    if not (folder / TOKENIZER).is_file():
        tokenizer = load_tokenizer(folder, base)
        tokenizer.add_tokens(new)
        tokenizer.save_pretrained(folder)
        return
    from tokenizers import Tokenizer

    backend = Tokenizer.from_file(str(folder / TOKENIZER))
    # Tokens that only the files beside it name come before the new ones.
    noted = [token for token in sorted(ours.added, key=ours.ids.__getitem__) if backend.token_to_id(token) is None]
    backend.add_tokens([*(added_token(token, [ours]) for token in noted), *new])
    backend.save(str(folder / TOKENIZER))
    note_beside(folder, {token.content: (backend.token_to_id(token.content), token) for token in new})


def note_beside(folder: Path, new: dict[str, tuple[int, "AddedToken"]]) -> None:
    """Name new tokens in the files beside tokenizer.json too, where these name added tokens at all."""
    config, added = folder / TOKENIZER_CONFIG, folder / ADDED_TOKENS
    content: dict[str, Any] = read_json(LocalFolder(folder), TOKENIZER_CONFIG) if config.is_file() else {}
    if content.get("added_tokens_decoder"):
        content["added_tokens_decoder"] |= {str(row): token.__getstate__() for row, token in new.values()}
        config.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if added.is_file():
        ids = read_json(LocalFolder(folder), ADDED_TOKENS) | {content: row for content, (row, _) in new.items()}
        added.write_text(json.dumps(ids, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def check_rows(base: Path, draft: Path, wanted: dict[str, int]) -> None:
    """Raise a `WudiError` unless transformers gives every token the row that is wanted."""
    found = load_tokenizer(draft, base).get_vocab()
    wrong = [token for token, row in wanted.items() if found.get(token) != row]
    if wrong:
        token = wrong[0]
        at = "nowhere" if found.get(token) is None else f"at row {found[token]}"
        raise WudiError(
            f"{base}: with the experts' tokens added, token {token!r} belongs to row {wanted[token]} and transformers "
            f"has it {at} ({len(wrong)} such tokens); merge with `vocabulary: base`"
        )


def install(file: Path, target: Path) -> None:
    """Copy a file whole or not at all."""
    half_written = target.with_name(f"{target.name}.tmp")
    with file.open("rb") as source, half_written.open("wb") as copied:
        shutil.copyfileobj(source, copied)
        copied.flush()
        os.fsync(copied.fileno())
    half_written.replace(target)
