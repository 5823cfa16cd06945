"""DVC's settings of this machine, which no commit has: credentials, the cache's place, remotes by relative paths."""

from pathlib import Path
from typing import Any


def take_over(repository: str, workspace: Path) -> None:
    """Give the clone what `.dvc/config.local` says in the checkout that it was made from.

    A remote or a cache that the branch's `.dvc/config` names by a relative path is a folder beside the checkout, and
    not beside the clone: the clone gets its full path. Of a URL nothing can be known, and nothing is done.
    """
    from dvc.config import Config

    theirs, ours = Path(repository).resolve() / ".dvc", workspace.resolve() / ".dvc"
    if not theirs.is_dir():
        return
    local = plain(Config(str(theirs), validate=False).load_one("local"))
    for section, name, key, value in relative_paths(ours / "config"):
        place = local.setdefault(section, {}).setdefault(name, {}) if name else local.setdefault(section, {})
        place.setdefault(key, str((theirs / value).resolve()))
    with Config(str(ours), validate=False).edit("local", validate=False) as settings:
        settings.clear()
        settings.update(local)


def relative_paths(config: Path) -> list[tuple[str, str, str, str]]:
    """The folders that a file of settings names by relative paths: section, name of the remote, key and value."""
    from configobj import ConfigObj

    written = ConfigObj(str(config))
    remotes = {name: section for name, section in written.items() if name.startswith("remote ")}
    found = [("remote", name.split('"')[1], "url", section.get("url", "")) for name, section in remotes.items()]
    found.append(("cache", "", "dir", written.get("cache", {}).get("dir", "")))
    return [entry for entry in found if entry[3] and "://" not in entry[3] and not Path(entry[3]).is_absolute()]


def plain(settings: Any) -> Any:
    """Settings as dictionaries and values; paths, which DVC has made full ones, as strings."""
    if isinstance(settings, dict):
        return {key: plain(value) for key, value in settings.items()}
    return str(settings) if isinstance(settings, str) else settings
