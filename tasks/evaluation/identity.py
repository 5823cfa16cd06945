"""Which model it is that answers: its weights, and what else decides what it says."""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tasks import paths
from tasks.evaluation.backends.backend import Backend
from tasks.evaluation.settings import Evaluation
from wudi.folder import ADAPTER_CONFIG, is_adapter

NO_SETTINGS = ("source.json", "merge.json")
"""Files that only say where a model comes from."""


def model_sha256(folder: Path) -> str:
    """The hash of a model's weights, which a score belongs to: of the file, or of the hashes of its shards.

    An adapter's covers its settings, which scale it, and the base too.
    """
    files = sorted(folder.glob("*.safetensors"))
    if is_adapter(folder):
        files += [folder / ADAPTER_CONFIG, *sorted(paths.BASE.glob("*.safetensors"))]
    hashes = []
    for file in files:
        with file.open("rb") as stream:
            hashes.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def settings_sha256(folder: Path) -> str:
    """The hash of what else a model folder holds: configuration, generation settings, tokenizer, chat template.

    Of an adapter, the base's too.
    """
    digest = hashlib.sha256()
    for place in [folder, paths.BASE] if is_adapter(folder) else [folder]:
        for file in sorted(place.iterdir()):
            if file.suffix in (".json", ".model", ".txt", ".jinja") and file.name not in NO_SETTINGS:
                digest.update(f"{file.name}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def what_answers(folder: Path, sha256: str, backend: Backend, evaluation: Evaluation) -> dict[str, Any]:
    """Everything beside the requests that decides a model's answers: those of another combination are not its own."""
    return {
        "sha256": sha256,
        "settings": settings_sha256(folder),
        "backend": evaluation.model_dump(include={"backend", "server"}, mode="json"),
        "device": backend.device,
        "dtype": backend.dtype,
        "versions": {package: version(package) for package in ("lm_eval", "transformers", "torch")},
    }
