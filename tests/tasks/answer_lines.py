"""Samples files as `tasks.evaluate` writes them."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks import paths


def line(number: int, correct: float, **values: Any) -> dict[str, Any]:
    """One line of a samples file, as it was before verdicts were kept."""
    shots = f"Question: {number} + 1?\nAnswer: {number + 1}\n\nQuestion: 1 + {number}?\nAnswer: {number + 1}\n\n"
    return {
        "question": number,
        "task": "sums" if number < 3 else "more_sums",
        "prompt": f"{shots}Question: 7 + {number}?\nAnswer:",
        "generation": f" <<7+{number}={7 + number}>> #### {7 + number}",
        "extracted": str(7 + number),
        "target": f"#### {7 + number}",
        "correct": correct,
        **values,
    }


def write(model: str, benchmark: str, lines: Sequence[dict[str, Any]]) -> Path:
    """The file of a model's answers to a benchmark."""
    path = paths.samples(model) / f"{benchmark}.jsonl.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(json.dumps(values) + "\n" for values in lines).encode(), mtime=0))
    return path
