"""Measured seconds, kept beside the pipeline: they differ from run to run, so nothing that DVC hashes holds them."""

import json
from typing import Any

from tasks import paths


def write_timing(stage: str, name: str, seconds: float, device: str, **details: Any) -> None:
    """Leave the wall-clock seconds of a stage for the leaderboard, and what else was measured."""
    path = paths.timing(stage, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"seconds": round(seconds, 3), "device": device, **details}
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")
