"""DVC's local cache: files by the md5 of their content, folders by a listing of such files."""

import json
from pathlib import Path

from wudi.errors import WudiError

FOLDER = ".dir"
"""What ends the md5 of a folder."""


class Cache:
    """Where a project's DVC keeps the outputs of all revisions; empty where nothing was computed or pulled.

    Raises:
        WudiError: DVC's settings cannot be read.
    """

    def __init__(self, root: Path) -> None:
        self._files = cache_folder(root) / "files" / "md5"

    def path(self, md5: str) -> Path:
        """Where a file of this content lies if it is at hand."""
        return self._files / md5[:2] / md5[2:]

    def read(self, md5: str) -> bytes | None:
        """A file's content; None where it is not at hand."""
        try:
            return self.path(md5).read_bytes()
        except OSError:
            return None

    def listing(self, md5: str) -> dict[str, str]:
        """The files of a folder with their md5; none where the folder is not at hand."""
        content = self.read(md5) if md5.endswith(FOLDER) else None
        try:
            return {entry["relpath"]: entry["md5"] for entry in json.loads(content or b"[]")}
        except (ValueError, KeyError, TypeError):
            return {}


def cache_folder(root: Path) -> Path:
    """The folder that DVC's settings name (`cache.dir`), or its own.

    Raises:
        WudiError: The settings cannot be read.
    """
    from dvc.config import Config, ConfigError

    own = root / ".dvc"
    try:
        settings = Config(dvc_dir=str(own), validate=False)
    except ConfigError as error:
        raise WudiError(f"{own / 'config'}: DVC cannot read its settings: {error}") from None
    return Path(settings.get("cache", {}).get("dir") or own / "cache")
