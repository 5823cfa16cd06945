"""Whole merges from disk to disk: seconds and peak memory, beside a plain copy of the same bytes."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import save_file

LAYERS, HIDDEN, INTERMEDIATE, VOCABULARY = 6, 1024, 2816, 32000
EXPERTS = 3
METHODS = ("average", "task_arithmetic", "ties", "dare_ties", "swudi")
"""Without `wudi`, whose time is its 300 steps on each layer: the other table has them."""


def write_models(folder: Path) -> tuple[int, int]:
    """A Llama-shaped base and experts in bfloat16; returns the parameters of one and its bytes."""
    shapes = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN), "lm_head.weight": (VOCABULARY, HIDDEN)}
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}"
        shapes |= {f"{prefix}.self_attn.{name}_proj.weight": (HIDDEN, HIDDEN) for name in "qkvo"}
        shapes |= {f"{prefix}.mlp.{name}_proj.weight": (INTERMEDIATE, HIDDEN) for name in ("gate", "up")}
        shapes[f"{prefix}.mlp.down_proj.weight"] = (HIDDEN, INTERMEDIATE)
    generator = torch.Generator().manual_seed(0)
    base = {name: torch.randn(shape, generator=generator) * 0.02 for name, shape in shapes.items()}
    for number in range(EXPERTS + 1):
        moved = base
        if number:
            moved = {
                name: weight + torch.randn(weight.shape, generator=generator) * 1e-3 for name, weight in base.items()
            }
        (folder / str(number)).mkdir()
        save_file(
            {name: weight.bfloat16() for name, weight in moved.items()}, folder / str(number) / "model.safetensors"
        )
    parameters = sum(weight.numel() for weight in base.values())
    return parameters, (folder / "0" / "model.safetensors").stat().st_size


MEASURE = """
import json, resource, sys, time
from pathlib import Path
from wudi import Recipe
from wudi.checkpoint import Checkpoint
from wudi.experts import open_experts
from wudi.merge import merge
folder, method, device = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
import torch
torch.zeros(1, device=None if device == "auto" else device)
started = time.perf_counter()
experts = open_experts([folder / str(number) for number in range(1, int(sys.argv[4]) + 1)])
recipe = Recipe.parse({"method": method})
merge(Checkpoint(folder / "0"), experts, recipe, folder / "out", device=device, overwrite=True)
seconds = time.perf_counter() - started
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
"""


def merge_in_process(folder: Path, method: str, device: str) -> tuple[float, int]:
    """Seconds of one merge and the peak memory of the process that did it, mapped files included."""
    arguments = [sys.executable, "-c", MEASURE, str(folder), method, device, str(EXPERTS)]
    output = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    seconds, memory = json.loads(output)
    return seconds, memory


def copy(folder: Path) -> float:
    """Seconds to read all inputs once and write one output, as a copy does it."""
    started = time.perf_counter()
    for number in range(EXPERTS + 1):
        shutil.copyfile(folder / str(number) / "model.safetensors", folder / "copy")
    return time.perf_counter() - started


def compare(device: str) -> tuple[str, list[dict[str, str]]]:
    """What was merged, in words, and a row a method."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parameters, size = write_models(folder)
        each = f"{parameters / 1e6:.0f} M parameters in bfloat16, {size / 1e9:.2f} GB each"
        copying = copy(folder)
        rows = [{"method": "(copying the four files)", "seconds": f"{copying:.1f}", "peak memory": ""}]
        for method in METHODS:
            seconds, memory = merge_in_process(folder, method, device)
            rows.append({"method": method, "seconds": f"{seconds:.1f}", "peak memory": f"{memory / 1e9:.2f} GB"})
    return f"base + {EXPERTS} experts of {each}", rows
