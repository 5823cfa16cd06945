"""DVC's settings of this machine, which no commit has: credentials, the cache's place, remotes by relative paths."""

from pathlib import Path
from typing import Any


def take_over(repository: str, workspace: Path) -> None:
    """Give the clone what `.dvc/config.local` says in the checkout that it was made from.

    A remote or cache that the project's `.dvc/config` names by a relative path is a folder beside the checkout, and
    not beside the clone: the clone gets its full path. Of a URL nothing can be known, and nothing is done.
    """
    from dvc.config import Config

    checkout = Path(repository)
    if not (checkout / ".dvc").is_dir():
        return
    theirs = Config(str((checkout / ".dvc").resolve()), validate=False)
    local = plain(theirs.load_one("local"))
    for name, remote in plain(theirs.load_one("repo")).get("remote", {}).items():
        if "://" not in remote.get("url", "://"):
            local.setdefault("remote", {}).setdefault(name, {}).setdefault("url", remote["url"])
    ours = Config(str((workspace / ".dvc").resolve()), validate=False)
    with ours.edit("local", validate=False) as settings:
        settings.clear()
        settings.update(local)


def plain(settings: Any) -> Any:
    """Settings as dictionaries and values; paths, which DVC has made full ones, as strings."""
    if isinstance(settings, dict):
        return {key: plain(value) for key, value in settings.items()}
    return str(settings) if isinstance(settings, str) else settings
