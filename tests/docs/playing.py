"""A page's commands run word for word in a folder, and held against what the page shows."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import ROOT
from tests.docs.blocks import Block, matches
from tests.small_experiment import ENVIRONMENT


def steps_of(block: Block) -> list[dict[str, str]]:
    """What `play.py` does with a block."""
    if block.file:
        return [{"write": block.file, "text": block.text, "run": "true"}]
    return [{"run": line} for line in block.commands] if block.language == "sh" else []


def play(folder: Path, chosen: Sequence[Block], **environment: str) -> None:
    """Write each block's file or run its commands, in order, and compare what the page says that they print."""
    path = os.pathsep.join([*filter(None, [environment.pop("PYTHONPATH", "")]), str(folder)])
    steps = [(block, step) for block in chosen for step in steps_of(block)]
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "docs" / "play.py"],
        input=json.dumps([step for _, step in steps]),
        cwd=folder,
        env={**ENVIRONMENT, "COLUMNS": "120", **environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for (block, step), (status, printed) in zip(steps, json.loads(done.stdout), strict=True):
        line, last = step["run"], step["run"] == block.commands[-1]
        assert status == (1 if last and block.fails else 0), f"{line}\n{printed}"
        assert "Traceback" not in printed, f"{line}\n{printed}"
        if last and block.prints is not None:
            assert matches(block.prints, printed), f"{line}\nprinted\n{printed}\nand not\n{block.prints}"
