"""mergekit in an environment of its own: its installation, and the command of one of its merges."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import yaml

from benchmarks.process import ROOT
from wudi.errors import WudiError

ENVIRONMENT = ROOT / ".cache" / "peers"
REQUIREMENTS = (f"torch=={torch.__version__.partition('+')[0]}", "mergekit==0.1.5")
"""One after the other: mergekit chooses the rest around the torch that this project runs on."""

PACKAGES = ("mergekit", "torch", "transformers", "safetensors")
VERSIONS = (
    f"from importlib.metadata import version; print(*(f'{{name}} {{version(name)}}' for name in {PACKAGES}), sep=', ')"
)


def installed() -> Path:
    """The environment, made on first use and whenever other versions are asked for.

    Raises:
        WudiError: pip could not install.
    """
    done, wanted = ENVIRONMENT / "installed", "\n".join(REQUIREMENTS)
    if done.is_file() and done.read_text(encoding="utf-8") == wanted:
        return ENVIRONMENT
    called([sys.executable, "-m", "venv", "--clear", ENVIRONMENT])
    for requirement in REQUIREMENTS:
        called([ENVIRONMENT / "bin" / "python", "-m", "pip", "install", "--quiet", requirement])
    done.write_text(wanted, encoding="utf-8")
    return ENVIRONMENT


def called(command: Sequence[str | Path]) -> str:
    """What a command prints.

    Raises:
        WudiError: It failed.
    """
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        said = " ".join(ended.stderr.strip().splitlines()[-3:])
        raise WudiError(
            f"{ENVIRONMENT}: mergekit could not be installed for the comparison ({said}); "
            "look to the connection and the disk, and run it again"
        )
    return ended.stdout


def versions() -> str:
    """The versions that its environment has, in words."""
    return called([installed() / "bin" / "python", "-c", VERSIONS]).strip()


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
    return [installed() / "bin" / "mergekit-yaml", file, out, "--device", device, "--random-seed", "0"]
