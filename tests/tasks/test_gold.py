"""The benchmarks give the published answers full marks, and wrong ones none: all of lm-eval's way, on the real data."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.tasks.hub import Hub

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")

QUESTIONS = {"gsm8k": 1319, "minerva_math": 5000, "minerva_math500": 500, "humaneval": 164, "mbpp": 500}
REFUSED = {
    "minerva_math": {"exact_match,none": 1, "math_verify,none": 8},
    "mbpp": {"pass_at_1,none": 1},
}
"""How many published answers the harness itself does not take: docs/benchmarks.md says which and why."""
Score = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def score(hub_server: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Score]:
    """Scores of a model that answers all right and of one that answers all wrong, by benchmark."""
    with Hub(hub_server, cache=tmp_path_factory.mktemp("hf")) as hub:

        def scored(limit: int, *names: str) -> dict[str, Any]:
            command = [sys.executable, "-m", "tests.tasks.gold_model", str(limit), *names]
            done = subprocess.run(command, env=hub.client(ROOT), capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout.splitlines()[-1])

        yield scored


@pytest.mark.long
def test_some_answers(score: Score) -> None:
    for side, scored in score(40, "gsm8k", "minerva_math500", "humaneval", "mbpp").items():
        for name, entry in scored.items():
            assert entry["questions"] == 40
            assert set(entry["metrics"].values()) == {float(side == "right")}, (name, entry["judged"])


@pytest.mark.gold
@pytest.mark.parametrize("name", QUESTIONS)
def test_every_answer(name: str, score: Score) -> None:
    right, wrong = (scored[name] for scored in score(0, name).values())
    assert right["questions"] == wrong["questions"] == QUESTIONS[name]
    assert set(wrong["metrics"].values()) == {0.0}, wrong["judged"]
    refused = {metric: round((1 - score) * QUESTIONS[name]) for metric, score in right["metrics"].items() if score < 1}
    assert refused == REFUSED.get(name, {}), right["judged"]
