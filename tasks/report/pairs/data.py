"""All pairs at once, for the page's script: who is right as bits, and each text once."""

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from tasks.report.pairs.benchmark import Benchmark


def as_data(benchmark: Benchmark, models: Sequence[str]) -> dict[str, Any]:
    """A benchmark; models are their places in a list of all."""
    places = {name: place for place, name in enumerate(models)}
    return {
        "name": benchmark.name,
        "numbers": benchmark.numbers,
        "right": {
            places[name]: base64.b64encode(np.packbits(row).tobytes()).decode()
            for name, row in zip(benchmark.models, benchmark.right, strict=True)
        },
        "questions": [
            {
                "place": place,
                "asked": question.asked,
                "expected": question.expected,
                "replies": {places[name]: [reply.verdict, reply.parts] for name, reply in question.replies.items()},
            }
            for place, question in benchmark.shown.items()
        ],
    }
