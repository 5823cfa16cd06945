"""What a model folder's tokenizer says: the row of the embeddings that belongs to each token."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wudi.errors import WudiError
from wudi.folder import LocalFolder, read_json

if TYPE_CHECKING:
    from tokenizers import AddedToken

TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
ADDED_TOKENS = "added_tokens.json"
WITH_TOKENS = (TOKENIZER, "vocab.*", "*.model", "tokenizer.model.*", "*.spm", "*.tiktoken", "tekken.json")
"""The files of which one at least is in a folder that has a tokenizer."""
FLAGS = ("special", "lstrip", "rstrip", "normalized", "single_word")
"""What the tokenizers library keeps of a token that was added to a finished vocabulary."""


class UnreadableTokenizer(WudiError):
    """A tokenizer that may be sound, but needs code of its own or a package that is not installed."""


@dataclass(frozen=True)
class Vocabulary:
    """The id of every token, and the flags of those that were added to a finished vocabulary (see `FLAGS`)."""

    ids: Mapping[str, int]
    added: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)

    def within(self, rows: int) -> dict[str, int]:
        """The tokens that a matrix of so many rows has a row for, by row: a tokenizer may know more than its model."""
        return dict(sorted((item for item in self.ids.items() if item[1] < rows), key=lambda item: item[1]))

    @property
    def next_id(self) -> int:
        """The id that the next added token gets."""
        return max(self.ids.values(), default=-1) + 1


def read_vocabulary(folder: Path) -> Vocabulary | None:
    """The tokens of a model folder, added ones included; None where it has no tokenizer.

    Raises:
        WudiError: The tokenizer is damaged, or needs code of its own or a package that is not installed.
    """
    if not has_tokenizer(folder):
        return None
    if not (folder / TOKENIZER).is_file():
        return vocabulary_of(load_tokenizer(folder))
    vocabulary = vocabulary_of_json(folder / TOKENIZER)
    ids, added, taken = dict(vocabulary.ids), dict(vocabulary.added), set(vocabulary.ids.values())
    for token, row, flags in noted_beside(folder):
        if token not in ids and row not in taken:
            ids[token], added[token] = row, flags
    return Vocabulary(ids, added)


def has_tokenizer(folder: Path) -> bool:
    """Whether a folder holds a vocabulary."""
    return lists_tokenizer(file.name for file in folder.iterdir()) if folder.is_dir() else False


def lists_tokenizer(names: Iterable[str]) -> bool:
    """Whether there is a vocabulary among files; settings of a tokenizer alone are none."""
    return any(fnmatchcase(name, pattern) for name in names for pattern in WITH_TOKENS)


def vocabulary_of_json(file: Path) -> Vocabulary:
    """The tokens of a tokenizer.json."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise WudiError(f"{file}: not a sound tokenizer ({error}); fetch the checkpoint again") from None
    added = tokenizer.get_added_tokens_decoder().values()
    return Vocabulary(tokenizer.get_vocab(with_added_tokens=True), {token.content: flags_of(token) for token in added})


def vocabulary_of(tokenizer: Any) -> Vocabulary:
    """The tokens of a tokenizer of transformers."""
    added = tokenizer.added_tokens_decoder.values()
    return Vocabulary(tokenizer.get_vocab(), {token.content: flags_of(token) for token in added})


def load_tokenizer(folder: Path, whose: Path | None = None) -> Any:
    """A folder's tokenizer as transformers loads it, without running code of the folder's.

    `whose` is the folder to blame where this one is made of it.

    Raises:
        WudiError: It cannot be loaded, for a reason that transformers gives.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    except Exception as error:  # whatever a tokenizer's class stumbles over
        reason = next(iter(str(error).splitlines()), "")
        raise UnreadableTokenizer(
            f"{whose or folder}: transformers cannot load its tokenizer ({type(error).__name__}: {reason}); fetch it "
            f"again, install the package that it asks for, or save it with save_pretrained(), which writes {TOKENIZER}"
        ) from None


def noted_beside(folder: Path) -> Iterator[tuple[str, int, dict[str, bool]]]:
    """Each added token that the files beside tokenizer.json name, with its id and flags.

    Raises:
        WudiError: One of them is not as transformers writes it.
    """
    for name, read in ((TOKENIZER_CONFIG, in_config), (ADDED_TOKENS, in_added_tokens)):
        file = folder / name
        if not file.is_file():
            continue
        try:
            yield from read(read_json(LocalFolder(folder), name))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise WudiError(f"{file}: its added tokens are not as transformers writes them; fetch it again") from None


def in_config(content: dict[str, Any]) -> list[tuple[str, int, dict[str, bool]]]:
    """The added tokens of a tokenizer_config.json."""
    noted = content.get("added_tokens_decoder") or {}
    return [
        (token["content"], int(row), {flag: bool(token[flag]) for flag in FLAGS if flag in token})
        for row, token in noted.items()
    ]


def in_added_tokens(content: dict[str, Any]) -> list[tuple[str, int, dict[str, bool]]]:
    """The added tokens of an added_tokens.json, which keeps no flags."""
    return [(token, int(row), {}) for token, row in content.items()]


def flags_of(token: "AddedToken") -> dict[str, bool]:
    """The flags of an added token."""
    return {flag: bool(getattr(token, flag)) for flag in FLAGS}
