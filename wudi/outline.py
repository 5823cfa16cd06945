"""What can be known of a checkpoint without reading a weight: its config, and every tensor's name, dtype and shape."""

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from wudi.errors import WudiError
from wudi.folder import ADAPTER_CONFIG, CONFIG, INDEX, Folder, read_json, weight_map, weights_files
from wudi.safetensors_file import Header
from wudi.tensor_info import TensorInfo


class Outline:
    """A checkpoint's config, index and headers.

    Raises:
        WudiError: There are no weights, a header is damaged, or the index disagrees with the files.
    """

    def __init__(self, folder: Folder) -> None:
        self.where = folder.where
        self.files = folder
        self.headers: Mapping[str, Header] = {name: folder.header(name) for name in weights_files(folder)}
        self.refuse_tensors_in_two_files()
        if INDEX in folder.sizes and not self.is_adapter:
            self.refuse_another_index(weight_map(folder))

    def refuse_tensors_in_two_files(self) -> None:
        """Raise a `WudiError` where it cannot be told which of two tensors is meant."""
        counts = Counter(name for header in self.headers.values() for name in header.places)
        twice = next((name for name, count in counts.items() if count > 1), None)
        if twice is not None:
            first, second, *_ = (file for file, header in self.headers.items() if twice in header.places)
            raise WudiError(
                f"{self.where}: tensor {twice} is in {first} and in {second}; move the files away that are not of the "
                "model"
            )

    def refuse_another_index(self, indexed: Mapping[str, str]) -> None:
        """Raise a `WudiError` where the index and the headers disagree about what lies where."""
        for tensor in sorted(indexed.keys() | self.file_of.keys()):
            says, found = indexed.get(tensor), self.file_of.get(tensor)
            if says != found:
                raise WudiError(
                    f"{self.where}/{INDEX}: says that tensor {tensor} is in {says or 'no file'}, but it is in "
                    f"{found or 'none'}; fetch the checkpoint again"
                )

    @cached_property
    def file_of(self) -> dict[str, str]:
        """The file that holds each tensor."""
        return {tensor: file for file, header in self.headers.items() for tensor in header.places}

    @cached_property
    def shards(self) -> dict[str, tuple[str, ...]]:
        """The tensors of each file, in the order of their bytes."""
        return {file: tuple(header.places) for file, header in self.headers.items()}

    @cached_property
    def tensors(self) -> dict[str, TensorInfo]:
        """Every tensor's dtype and shape, sorted by name."""
        return {name: self.headers[self.file_of[name]].places[name].info for name in sorted(self.file_of)}

    @property
    def is_adapter(self) -> bool:
        """Whether it holds the factors of a PEFT adapter and not the weights of a model."""
        return ADAPTER_CONFIG in self.files.sizes

    @cached_property
    def config(self) -> dict[str, Any]:
        """The content of config.json; empty where there is none."""
        return read_json(self.files, CONFIG) if CONFIG in self.files.sizes else {}

    @cached_property
    def metadata(self) -> Mapping[str, str]:
        """The metadata in the header of the first file."""
        return next(iter(self.headers.values())).metadata

    @property
    def bytes(self) -> int:
        """The size of all weights."""
        return sum(info.bytes for info in self.tensors.values())
