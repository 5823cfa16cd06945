"""The files of a project at one revision: those in git (or in the working tree), and those that DVC tracks."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tasks import paths
from tasks.versions.cache import Cache
from tasks.versions.lock import Loader, Lock, parse_lock
from wudi.errors import WudiError

LOCK = Path("dvc.lock")
ANSWERS = ".jsonl.gz"


@dataclass(frozen=True)
class Tree:
    """A project's files at one revision."""

    label: str
    """The revision, for errors."""
    tracked: Callable[[Path], bytes | None]
    """A file's content, by its path below the project's root, without DVC."""
    cache: Cache
    folder: Path | None = None
    """The root, where the files lie there: in the working tree."""

    @cached_property
    def lock(self) -> Lock:
        """dvc.lock; an empty one where there is none.

        Raises:
            WudiError: The file is broken.
        """
        try:
            return parse_lock(self.tracked(LOCK) or b"")
        except ValueError as error:
            raise WudiError(f"{self.label}: {LOCK} is not as DVC writes it ({error})") from None

    @cached_property
    def params(self) -> dict[str, Any]:
        """params.yaml as it was written, with keys of other times; empty where there is none.

        Raises:
            WudiError: The file is broken.
        """
        try:
            values = yaml.load(self.tracked(paths.PARAMS) or b"", Loader)
        except (yaml.YAMLError, ValueError) as error:
            raise WudiError(f"{self.label}: {paths.PARAMS} is not valid YAML: {' '.join(str(error).split())}") from None
        return values if isinstance(values, dict) else {}

    def read(self, path: Path) -> bytes | None:
        """A file in git or an output of DVC's; None where it is neither, or not at hand."""
        content = self.tracked(path)
        if content is None and (md5 := self.lock.outputs.get(path.as_posix())):
            content = self.cache.read(md5)
        return content

    def answers(self, model: str) -> dict[str, tuple[str, Path]]:
        """The files of a model's answers, by benchmark: the md5 of each, and where it lies if it is at hand."""
        folder = paths.samples(model)
        if self.folder is not None and (self.folder / folder).is_dir():
            files = {file.name: file for file in sorted((self.folder / folder).glob(f"*{ANSWERS}"))}
            found = {name: (hashlib.md5(file.read_bytes()).hexdigest(), file) for name, file in files.items()}
        else:
            listing = self.cache.listing(self.lock.outputs.get(folder.as_posix(), ""))
            found = {name: (md5, self.cache.path(md5)) for name, md5 in listing.items()}
        return {name.removesuffix(ANSWERS): file for name, file in found.items() if name.endswith(ANSWERS)}


def section(params: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """A section of params.yaml, or one within it; empty where there is none of that form."""
    found: Any = params
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}
