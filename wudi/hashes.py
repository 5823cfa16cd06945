"""SHA-256 of files, and of what stands at their heads."""

import hashlib
from pathlib import Path

from wudi.checkpoint import Checkpoint
from wudi.folder import ADAPTER_CONFIG


def file_sha256(file: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def headers_sha256(checkpoint: Checkpoint) -> dict[str, str]:
    """The SHA-256 of each file's header, and of an adapter's settings: what the files are, but not what they hold."""
    found = {}
    for name, path in checkpoint.paths.items():
        with path.open("rb") as stream:
            size = None if name == ADAPTER_CONFIG else checkpoint.headers[name].bytes
            found[name] = hashlib.sha256(stream.read(size)).hexdigest()
    return found
