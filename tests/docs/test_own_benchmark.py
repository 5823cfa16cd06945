"""docs/own-benchmark.md, word for word: questions, tasks and their place in params.yaml."""

import json
from pathlib import Path

import pytest

from tests.docs.blocks import blocks
from tests.docs.playing import play
from tests.small_experiment import PARAMS, copy_project


@pytest.mark.long
def test_the_page(tmp_path: Path) -> None:
    """The zoo's base is trained for one step, for its answers do not matter."""
    project = tmp_path / "wudi"
    copy_project(project, PARAMS)
    quick = [
        (block, block.text.replace("base_steps: 250, expert_steps: 300", "base_steps: 1, expert_steps: 1"))
        for block in blocks("own-benchmark.md")
    ]
    play(project, [type(block)(**{**vars(block), "text": text}) for block, text in quick])
    scores = json.loads((project / "scores" / "base.json").read_text())
    questions = {one["benchmark"]: one["questions"] for one in scores["evaluations"]}
    assert questions == {"gsm8k": 20, "sums": 60, "odd_or_even": 60}
