"""`make bench`: measure on this machine and write docs/performance.md."""

import argparse
import os
import platform
from pathlib import Path

import torch

from benchmarks import checkpoints, interference

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto", help="auto (a GPU where there is one), cpu or cuda")
    device = parser.parse_args().device
    chosen = torch.device("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else torch.device(device)
    layers = [interference.compare(shape, chosen) for shape in interference.SHAPES]
    about, merges = checkpoints.compare(str(chosen))
    few = interference.PUBLISHED_STEPS
    page = f"""# Performance

Measured by `make bench` on: {machine(chosen)}.
Nothing here was measured on any other machine; single runs on a shared machine vary by some ten percent.

## WUDI's 300 steps on one layer, {interference.EXPERTS} experts

The published form takes the loss through autograd, with out × out products; this project descends the same quadratic by
its exact gradient 2(τC − D). The published form is timed over {few} steps, times {interference.STEPS // few}. The
difference is ‖Δ − Δ′‖ / ‖Δ′‖ of the two updates after {few} steps.

{table(layers)}

## Whole merges, from disk to disk

{about}.
Seconds include hashing every input and output; memory is the peak of the process, memory-mapped inputs included. `wudi`
is left out here: its time is that of its 300 steps on each layer, which the table above has.

{table(merges)}
"""
    PAGE.write_text(page, encoding="utf-8")
    print(page)


def machine(device: torch.device) -> str:
    """What the figures were measured on."""
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            cpu = line.split(":")[1].strip()
            break
    gpu = f", {torch.cuda.get_device_name(device)}" if device.type == "cuda" else ", no GPU"
    return f"{cpu}, {os.cpu_count()} cores{gpu}, torch {torch.__version__}, Python {platform.python_version()}"


def table(rows: list[dict[str, str]]) -> str:
    """A Markdown table."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
