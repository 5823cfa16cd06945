"""mergekit in an environment of its own: its installation, and the command of one of its merges."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import yaml

from benchmarks.environment import Environment

ENVIRONMENT = Environment("peers", (f"torch=={torch.__version__.partition('+')[0]}", "mergekit==0.1.5"))
"""mergekit chooses the rest around the torch that this project runs on."""
PACKAGES = ("mergekit", "torch", "transformers", "safetensors")


def versions() -> str:
    """The versions that its environment has, in words."""
    ENVIRONMENT.install()
    return ENVIRONMENT.versions(PACKAGES)


def command(
    models: Sequence[Path], method: str, parameters: Mapping[str, object], dtype: str, out: Path, device: str
) -> list[str | Path]:
    """Merge into the first of the models and save in bfloat16; `dtype` is what it computes in."""
    density = {"density": parameters["density"]} if "density" in parameters else {}
    shared = {name: value for name, value in parameters.items() if name != "density"}
    config = {
        "merge_method": method,
        "base_model": str(models[0]),
        "models": [{"model": str(model), "parameters": {"weight": 1.0, **density}} for model in models[1:]],
        "parameters": shared,
        "dtype": dtype,
        "out_dtype": "bfloat16",
    }
    file = out.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return [ENVIRONMENT.folder / "bin" / "mergekit-yaml", file, out, "--device", device, "--random-seed", "0"]
