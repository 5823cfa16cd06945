"""`make bench-peers`: whole merges beside mergekit's, into a section of docs/performance.md."""

import argparse
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch

from benchmarks import mergekit
from benchmarks.agreement import Agreement, agreement
from benchmarks.merge import machine, table, told
from benchmarks.models import Llama, on_disk
from benchmarks.page import put_section
from benchmarks.process import Run, measured
from benchmarks.timing import seconds
from wudi.errors import WudiError
from wudi.folder import SINGLE

EXPERTS = 3
OURS = "this project"
THEIRS = {"mergekit, float32": "float32", "mergekit, bfloat16": "bfloat16"}
"""What mergekit computes in; both save bfloat16."""


@dataclass(frozen=True)
class Contest:
    """A method under its one name, and the settings under which both programs do the same mathematics."""

    method: str
    ours: Mapping[str, object]
    theirs: Mapping[str, object]
    trimmed: float | None = None
    """The fraction of each tensor that TIES keeps, where entries at the threshold need care."""
    drawn: bool = False
    """Whether entries are dropped at random, so that the norms can agree and the entries cannot."""


CONTESTS = (
    Contest("task_arithmetic", {"scale": 0.3}, {"lambda": 0.3, "normalize": False}),
    Contest("ties", {"trim": "tensor", "density": 0.2}, {"density": 0.2, "normalize": True}, trimmed=0.2),
    Contest(
        "dare_ties",
        {"drop_rate": 0.5, "rescale": "probability", "density": 1.0, "merge": "sum", "scale": 0.3},
        {"density": 0.5, "rescale": True, "normalize": False, "lambda": 0.3},
        drawn=True,
    ),
)


@dataclass
class Tally:
    """What the turns have given so far, by method and program; agreement is that of the first turn."""

    runs: dict[tuple[str, str], list[Run]] = field(default_factory=dict)
    agreements: dict[tuple[str, str], Agreement] = field(default_factory=dict)
    copies: list[float] = field(default_factory=list)

    def add(self, contest: Contest, program: str, run: Run) -> None:
        """Keep a run, and tell it."""
        self.runs.setdefault((contest.method, program), []).append(run)
        told(f"{contest.method}, {program}: {run.seconds:.1f} s, {run.memory / 1e9:.2f} GB")

    def rows(self) -> list[dict[str, str]]:
        """The table: medians over the turns."""
        copying = median(self.copies)
        blank = dict.fromkeys(("of a copy", "peak memory", "difference", "left out", "norms"), "")
        rows = [{"method": "(read four, write one)", "program": "a plain copy", "seconds": f"{copying:.1f}", **blank}]
        for contest in CONTESTS:
            rows += [self.row(contest, program, copying) for program in (OURS, *THEIRS)]
        return rows

    def row(self, contest: Contest, program: str, copying: float) -> dict[str, str]:
        """One program's row of one method."""
        runs = self.runs[contest.method, program]
        took = median(run.seconds for run in runs)
        agreed = self.agreements.get((contest.method, program))
        return {
            "method": contest.method,
            "program": program,
            "seconds": f"{took:.1f}",
            "of a copy": f"{took / copying:.0f} ×",
            "peak memory": f"{median(run.memory for run in runs) / 1e9:.2f} GB",
            "difference": "" if agreed is None else "drawn" if contest.drawn else f"{agreed.difference:.1g}",
            "left out": "" if agreed is None or contest.trimmed is None else f"{agreed.left_out:.1%}",
            "norms": "" if agreed is None else f"{agreed.norms:.4f}",
        }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3, help="of which the medians are taken")
    parser.add_argument("--parameters", type=float, default=374e6, help="of one model, about")
    parser.add_argument("--device", default="cpu", help="cpu or cuda, for both programs")
    parser.add_argument("--folder", type=Path, help="where the models are written for the time; a temporary folder")
    parser.add_argument("--no-page", action="store_true", help="print, and leave docs/performance.md as it is")
    parser.add_argument("--quick", action="store_true", help="one turn of a small model, to try it out: no page either")
    options = parser.parse_args()
    if options.turns < 1:
        parser.error(f"--turns: got {options.turns}; takes at least 1")
    shape = Llama(layers=1, vocabulary=4000) if options.quick else Llama().of_about(options.parameters)
    try:
        text = compared(shape, 1 if options.quick else options.turns, options.device, options.folder)
    except WudiError as error:
        sys.exit(f"error: {error}")
    print(text)
    if not (options.quick or options.no_page):
        put_section("peers", text)


def compared(shape: Llama, turns: int, device: str, parent: Path | None) -> str:
    """The section, from measurements that are told as they come."""
    told(f"beside {mergekit.versions()}")
    with on_disk(shape, EXPERTS, parent, outputs=3) as models:
        tally = Tally()
        for turn in range(turns):
            os.sync()
            tally.copies.append(seconds(lambda: copy(models), torch.device("cpu")))
            for contest in CONTESTS:
                contend(contest, models, device, tally, first=turn == 0)
    return section(shape, turns, tally)


def contend(contest: Contest, models: list[Path], device: str, tally: Tally, *, first: bool) -> None:
    """One method's turn of both programs; the first time, what they wrote is compared."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    ours, theirs = (models[0].parent / name for name in ("ours", "theirs"))
    settings = [part for name, value in contest.ours.items() for part in ("--set", f"{name}={value}")]
    command = [sys.executable, "-m", "wudi", "merge", *map(str, models), "--method", contest.method, *settings]
    os.sync()
    tally.add(contest, OURS, measured([*command, "--out", str(ours), "--device", device], environment))
    for program, dtype in THEIRS.items():
        os.sync()
        rival = mergekit.command(models, contest.method, contest.theirs, dtype, theirs, device)
        tally.add(contest, program, measured(rival, environment))
        if first:
            tally.agreements[contest.method, program] = agreement(models, ours, theirs, contest.trimmed)
        shutil.rmtree(theirs)
    shutil.rmtree(ours)


def copy(models: Sequence[Path]) -> None:
    """Read the weights of all models, and write those of the first."""
    base, *experts = (model / SINGLE for model in models)
    buffer = bytearray(1 << 24)
    for expert in experts:
        with expert.open("rb", buffering=0) as stream:
            while stream.readinto(buffer):
                pass
    shutil.copyfile(base, base.with_name("copy"))
    base.with_name("copy").unlink()


def section(shape: Llama, turns: int, tally: Tally) -> str:
    """The text around the table."""
    each = f"{shape.parameters / 1e6:.0f} M parameters in bfloat16, {shape.bytes / 1e9:.2f} GB each"
    return f"""## Beside mergekit, from disk to disk

Measured by `make bench-peers` on: {machine(torch.device("cpu"))}; beside {mergekit.versions()}, in an environment of
its own. Merged are a base and {EXPERTS} experts of {each}, all of them in the page cache. Both programs run as command
lines, in turn; a figure is the median of {turns}. Seconds are those of the whole process, from its
start to its end: this project's hash every input and output and wait until the output is on the disk, mergekit's do
not. Memory is the peak of the process, and mapped files count in both.

Both take a method under the settings that make it the same mathematics: task arithmetic with scale 0.3; TIES with
density 0.2, trimmed tensor by tensor; DARE-TIES with half of the entries dropped, the rest divided by their probability
(mergekit: rescaled to the L1 norm before, which is nearly the same), no trimming and the sum of what agrees, times 0.3.
mergekit computes in float32, as this project does, or in bfloat16. The difference is ‖Δ′ − Δ‖ / ‖Δ‖ of the merged task
vectors, Δ being this project's, and norms is ‖Δ′‖ / ‖Δ‖.
Left out of the difference are entries about which TIES says nothing, of which bfloat16 makes many: a magnitude that
equals the threshold (mergekit keeps some of them, this project all), and entries that cancel exactly (mergekit elects
plus, this project nothing). DARE draws at random, so that only its norms can agree.

{table(tally.rows())}
"""


if __name__ == "__main__":
    main()
