"""Which files of a listing a merge and an evaluation need, decided before a byte of a weight comes."""

from collections.abc import Callable, Collection, Mapping
from fnmatch import fnmatchcase
from typing import NoReturn

from wudi.errors import WudiError
from wudi.folder import ADAPTER_CONFIG, INDEX, weights_files

COMPANIONS = ("*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken", "LICENSE*", "NOTICE*")
"""Configuration, tokenizer, chat template and terms, which lie beside the weights."""
NO_COMPANIONS = (".*", "*.index.json", "source.json")
"""Hidden files, the indices of formats that are not fetched, and what an earlier fetch wrote down."""
WEIGHTS = "*.safetensors"
PICKLES = ("*.bin", "*.pt", "*.pth")
ORIGINAL = "consolidated*.safetensors"
"""The weights once more in their authors' own format, with other names than transformers'."""


class Listing:
    """The files at the top of a source, before they are fetched."""

    def __init__(self, where: str, sizes: Mapping[str, int], text: Callable[[str], str]) -> None:
        self.where = where
        top = {name: size for name, size in sizes.items() if "/" not in name}
        named_by_index = INDEX in top
        self.sizes = {name: size for name, size in top.items() if named_by_index or not fnmatchcase(name, ORIGINAL)}
        self._text = text

    def text(self, name: str) -> str:
        """The content of a small file."""
        return self._text(name)

    def header(self, name: str) -> NoReturn:
        """Refused: headers are read from files that were fetched."""
        raise WudiError(f"{self.where}/{name}: is not fetched yet")


def choose(listing: Listing, mend: str) -> list[str]:
    """The files to fetch: the weights that transformers or PEFT would read, and what describes them.

    Subfolders (the checkpoints along a training, other formats), pickles, optimizer states and weights that the index
    does not name are left out. `mend` says how pickles of this source become safetensors.

    Raises:
        WudiError: There is nothing to merge: pickles alone, no weights, or an index that names what is not there.
    """
    names = listing.sizes
    if not any(fnmatchcase(name, WEIGHTS) for name in names):
        raise WudiError(f"{listing.where}: {nothing_to_merge(names, mend)}")
    index = [INDEX] if INDEX in names and ADAPTER_CONFIG not in names else []
    companions = {name for name in names if matches(name, COMPANIONS) and not matches(name, NO_COMPANIONS)}
    return sorted({*weights_files(listing), *index, *companions})


def nothing_to_merge(names: Collection[str], mend: str) -> str:
    """Why a listing cannot be used, and what to do."""
    pickles = sorted(name for name in names if matches(name, PICKLES))
    if not pickles:
        return "holds no .safetensors file; takes a model as transformers saves it, or an adapter as PEFT does"
    return f"holds pickle files alone ({pickles[0]}), which can run code when they are read; {mend}"


def matches(name: str, patterns: Collection[str]) -> bool:
    """Whether a file name fits one of the patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
