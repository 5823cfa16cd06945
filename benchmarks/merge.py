"""`make bench`: measure on this machine and write docs/performance.md."""

import argparse
import os
import platform
from pathlib import Path

import torch

from benchmarks import checkpoints, solver, trimming
from benchmarks.floor import Floor
from benchmarks.page import put_page

EXPERTS = (2, 4, 8)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto", help="auto (a GPU where there is one), cpu or cuda")
    parser.add_argument("--all", action="store_true", help="shapes too of which one published step takes minutes")
    options = parser.parse_args()
    auto = "cuda" if torch.cuda.is_available() else "cpu"
    page = measured(torch.device(auto if options.device == "auto" else options.device), options.all)
    put_page(page)
    print(page)


def measured(device: torch.device, everything: bool) -> str:
    """The page, from measurements that are told as they come."""
    floor = Floor.of(device)
    told(f"floor: {floor}")
    rows, times = [], {}
    for shape, experts in solver.layers(EXPERTS, everything):
        row, theirs, ours = solver.descent(shape, experts, device, floor)
        rows.append(row)
        times[shape, experts] = theirs, ours
        told(" | ".join(row.values()))
    blocks = [solver.block(model, experts, times) for model in solver.MODELS for experts in EXPERTS]
    closed = [told_row(solver.closed_form(shape, device, floor)) for shape in solver.CLOSED]
    thin = [told_row(solver.low_rank(device, floor))]
    trims = [told_row(trimming.compare(shape, device, floor)) for shape in trimming.SIDES]
    left_out = (
        "" if everything else "`python -m benchmarks.merge --all` has every shape; a published step takes minutes."
    )
    about, merges = checkpoints.compare(str(device))
    return f"""# Performance

Measured by `make bench` on: {machine(device)}; {floor}.
Nothing here was measured on any other machine{"" if device.type == "cuda" else ", and nothing on a GPU"}. Rivals take
turns in one process, and a figure is the median of several turns; on a machine with other work it varies by some ten
percent. Task vectors are random, float32.

## WUDI's {solver.STEPS} steps on one layer

The published form takes the loss through autograd: a product of out × in × out an expert forwards and one backwards.
This project descends the same quadratic by its exact gradient 2(τC − D), one product of out × in × in a step whatever
the number of experts, and Adam's fused kernel. The published form is timed over a few steps, which all cost the same.
The floor is the operations of this project's {solver.STEPS} steps, and of forming C and D, over the machine's measured
rate: where a figure is near it, no program that takes these steps can be much faster. The published form does
2T · out / in times as many, which bounds the ratio from above but for autograd's own work. The difference is
‖Δ − Δ′‖ / ‖Δ′‖ of the two updates after the same few steps.

{table(rows)}

Whole Llama blocks (q, k, v, o, gate, up, down), from the rows above:

{table([row for row in blocks if row is not None])}

{left_out}

## Closed forms, four experts

`wudi_flow` and `swudi` go to time t = 300 of the gradient flow at once. The flow takes matrix products alone: doubling
where out is not much smaller than in, Chebyshev's recurrence elsewhere, whichever takes fewer operations. `swudi` cuts
the spectrum and so takes an eigendecomposition, in float64. Krylov spaces were not tried: they would need a block as
wide as the layer has outputs, orthogonalised at every step.

{table(closed)}

## LoRA experts

{table(thin)}

The steps of `wudi` are Adam's, entry by entry over out × in, whatever the rank; `wudi_flow` works in the joint space of
the adapters, of 64 dimensions here, and only multiplies out at the end.

## The threshold of TIES

Found exactly: a sample says about where it lies, and only the entries near it are searched. The floor is to read the
tensor once.

{table(trims)}

## Whole merges, from disk to disk

{about}.
Seconds include hashing every input and output; memory is the peak of the process, memory-mapped inputs included. `wudi`
is left out here: its time is that of its {solver.STEPS} steps on each layer, which the first table has.

{table(merges)}
"""


def told_row(row: dict[str, str]) -> dict[str, str]:
    """A row that is told before it is kept."""
    told(" | ".join(row.values()))
    return row


def told(line: str) -> None:
    """Show at once what was measured: the whole takes some minutes."""
    print(line, flush=True)


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
