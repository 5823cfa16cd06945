"""`wudi convert`: turn a checkpoint of pickles into safetensors."""

import argparse
from pathlib import Path
from typing import Any

from wudi.commands.terminal import bar, say

EXAMPLES = (
    ("wudi convert ./code --out ./code-safetensors", "a Hugging Face folder with pytorch_model.bin"),
    ("wudi convert ./adapter --out ./adapter-safetensors", "a LoRA adapter with adapter_model.bin"),
    ("wudi convert ./model.pt --out ./model", "one file of PyTorch"),
)


def add(commands: Any) -> None:
    """The arguments."""
    parser = commands.add_parser(
        "convert",
        help="turn pickles into safetensors",
        description="Turn a checkpoint of pickles (.bin, .pt, .pth) into safetensors, and run nothing in them.",
        reads="SOURCE",
        writes="--out: the weights, and what lay beside them; half a conversion has another name",
        examples=EXAMPLES,
    )
    parser.add_argument(
        "source", type=Path, metavar="SOURCE", help="Hugging Face folder, LoRA adapter, or .bin, .pt or .pth file"
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Turn a checkpoint of pickles (.bin, .pt, .pth) into safetensors, without running anything that is in them."""
    from wudi.convert import convert

    report = convert(options.source, options.out, track=bar, say=say)
    tensors, files = sum(map(len, report.shards.values())), len(report.shards)
    print(f"converted {tensors} tensors, {report.bytes / 1e9:.2f} GB, into {report.out}, ", end="")
    print("one file" if files == 1 else f"{files} files")
