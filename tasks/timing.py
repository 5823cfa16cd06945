"""Measured seconds, kept beside the pipeline: they differ from run to run, so nothing that DVC hashes holds them."""

import json
from collections.abc import Mapping

from tasks import paths


def write_timing(
    stage: str, name: str, seconds: float, device: str, tensors: Mapping[str, float] | None = None
) -> None:
    """Leave the wall-clock seconds of a stage for the leaderboard, and those of each tensor where it has any."""
    path = paths.timing(stage, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"seconds": round(seconds, 3), "device": device}
    if tensors is not None:
        content["tensors"] = {tensor: round(spent, 4) for tensor, spent in tensors.items()}
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")
