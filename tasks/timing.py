"""Measured seconds, kept beside the pipeline: they differ from run to run, so nothing that DVC hashes holds them."""

import json

from tasks import paths


def write_timing(stage: str, name: str, seconds: float, device: str) -> None:
    """Leave the wall-clock seconds of a stage for the leaderboard."""
    path = paths.timing(stage, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"seconds": round(seconds, 3), "device": device}) + "\n", encoding="utf-8")
