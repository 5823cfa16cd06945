"""Merges of small checkpoints, and what came out of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from wudi import Recipe
from wudi.checkpoint import Checkpoint
from wudi.cli import main
from wudi.experts import open_experts
from wudi.merge import MergeReport, merge

Trio = tuple[Path, list[Path]]


def run(base: Path, experts: Sequence[Path], out: Path, recipe: Mapping[str, Any], **options: Any) -> MergeReport:
    return merge(Checkpoint(base), open_experts(experts), Recipe.parse(recipe), out, device="cpu", **options)


def run_command(base: Path, experts: Sequence[Path], out: Path, *flags: str) -> None:
    """`wudi merge` in this process."""
    main(["merge", str(base), *map(str, experts), "--out", str(out), "--device=cpu", *flags])


def all_tensors(folder: Path) -> dict[str, Tensor]:
    return {name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()}


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def nothing_written(out: Path) -> bool:
    return not out.exists() and not out.with_name(f"{out.name}.partial").exists()


def bare_files(folder: Path, models: Sequence[dict[str, Tensor]]) -> Trio:
    """A base and its experts, each one file without a config."""
    folder.mkdir()
    files = [folder / f"{number}.safetensors" for number in range(len(models))]
    for file, tensors in zip(files, models, strict=True):
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file)
    return files[0], files[1:]


def task_vectors(trio: Trio) -> dict[str, list[Tensor]]:
    """Each tensor's task vectors, one for each expert."""
    base, experts = all_tensors(trio[0]), [all_tensors(expert) for expert in trio[1]]
    return {name: [expert[name] - weight for expert in experts] for name, weight in base.items()}


def assert_factors(out: Path, trio: Trio, factor: Callable[[str], float]) -> None:
    """That each tensor of the merge is the base's, plus a factor of its own times the sum of the task vectors."""
    merged, base = all_tensors(out), all_tensors(trio[0])
    for name, deltas in task_vectors(trio).items():
        torch.testing.assert_close(merged[name], base[name] + factor(name) * torch.stack(deltas).sum(dim=0), msg=name)


class Stop(Exception):
    """Stands for whatever ends a run in its middle."""


def stop_after(count: int) -> Any:
    """A `track` that ends the run when so many tensors are merged."""

    def track(items: Sequence[Any], description: str) -> Iterable[Any]:
        for number, item in enumerate(items):
            if description == "merging" and number == count:
                raise Stop
            yield item

    return track


def interrupted(trio: Trio, out: Path, recipe: Mapping[str, Any], count: int, **options: Any) -> None:
    """A run that ends when so many tensors are merged."""
    with pytest.raises(Stop):
        run(*trio, out, recipe, track=stop_after(count), **options)
