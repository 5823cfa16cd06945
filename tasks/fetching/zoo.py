"""A model of the zoo, trained on the spot."""

import hashlib
import shutil
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

import tasks.zoo
from tasks import paths
from tasks.console import track
from tasks.fetching.provenance import Fetched
from tasks.zoo import ZooSettings, train


def fetch_zoo(name: str, partial: Path, settings: ZooSettings) -> Fetched:
    """Train a zoo model; an expert starts from the zoo's own base, which is kept for the next one."""
    shutil.rmtree(partial, ignore_errors=True)
    base = zoo_base(settings)
    if name == "base":
        shutil.copytree(base, partial)
    else:
        train(name, partial, settings, base=base, track=track)
    return Fetched({"settings": settings.model_dump()})


def zoo_base(settings: ZooSettings) -> Path:
    """The trained base of these settings: every expert needs it, and fetches run side by side."""
    key = f"seed{settings.seed}-steps{settings.base_steps}-{zoo_code_hash()}"
    folder = paths.CACHE / "zoo" / key
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.is_dir():
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            train("base", partial, settings, track=track)
            partial.rename(folder)
    return folder


def zoo_code_hash() -> str:
    """A hash of the zoo's code and of the torch that runs it: another of either trains another base."""
    digest = hashlib.sha256(version("torch").encode())
    for file in sorted(Path(tasks.zoo.__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
