"""`python -m benchmarks.memory`: peak memory of merging models of a billion parameters, beside what was promised."""

import argparse
import os
import shutil
import sys
from pathlib import Path

from benchmarks.merge import table, told
from benchmarks.models import Llama, on_disk
from benchmarks.process import measured
from wudi.errors import WudiError

EXPERTS = 3
BILLION = Llama(2048, 8192, 16, 128256, heads=32, key_value_heads=8, tied=True)
"""The shape of Llama 3.2 1B, whose embeddings are a fifth of it."""

METHODS = ("task_arithmetic", "ties", "dare_ties", "pcb")
"""By default: without the WUDI family, which takes many minutes. `ties` walks over the model twice."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="*", default=METHODS, metavar="METHOD", help=f"default: {', '.join(METHODS)}")
    parser.add_argument("--folder", type=Path, help="where the models are written for the time; a temporary folder")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--quick", action="store_true", help="a model of two layers, to try it out")
    options = parser.parse_args()
    shape = Llama(2048, 8192, 2, 16032, heads=32, key_value_heads=8, tied=True) if options.quick else BILLION
    try:
        with on_disk(shape, EXPERTS, options.folder, outputs=1) as models:
            rows = [row(method, shape, models, options.device) for method in options.methods]
    except WudiError as error:
        sys.exit(f"error: {error}")
    print(f"base + {EXPERTS} experts of {shape.parameters / 1e6:.0f} M parameters in bfloat16; mapped files count\n")
    print(table(rows))


def bound(shape: Llama) -> int:
    """(experts + 3) × the largest tensor in float32, and 500 MB for Python and torch."""
    return (EXPERTS + 3) * 4 * shape.largest + 500_000_000


def row(method: str, shape: Llama, models: list[Path], device: str) -> dict[str, str]:
    """Merge by one method; the output is removed."""
    out = models[0].parent / "out"
    os.sync()
    command = [sys.executable, "-m", "wudi", "merge", *map(str, models), "--method", method]
    run = measured([*command, "--out", str(out), "--device", device], os.environ)
    shutil.rmtree(out)
    told(f"{method}: {run.seconds:.1f} s, {run.memory / 1e9:.2f} GB")
    return {
        "method": method,
        "peak memory": f"{run.memory / 1e9:.2f} GB",
        "bound": f"{bound(shape) / 1e9:.2f} GB",
        "of the bound": f"{run.memory / bound(shape):.0%}",
        "one model": f"{shape.bytes / 1e9:.2f} GB",
        "of all inputs": f"{run.memory / (len(models) * shape.bytes):.0%}",
        "seconds": f"{run.seconds:.0f}",
    }


if __name__ == "__main__":
    main()
