"""The arrows of the house: flows know tasks, tasks know wudi, and wudi knows torch and safetensors alone."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT


def imports(folder: str) -> Iterator[tuple[Path, str, bool]]:
    """Each module of a folder, each package that it imports, and whether it does so at its top."""
    for file in sorted((ROOT / folder).rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                yield file, name.split(".")[0], node in tree.body


def test_wudi_stands_on_torch_and_safetensors() -> None:
    allowed = {"torch", "safetensors", "numpy", "wudi", *sys.stdlib_module_names}
    lazy = {"transformers", "tqdm", "tokenizers", "fsspec", "huggingface_hub", "distributed", "yaml"}
    for file, package, top in imports("wudi"):
        assert package in allowed or (not top and package in lazy), f"{file} imports {package}"


@pytest.mark.parametrize(("folder", "above"), [("wudi", {"tasks", "flows"}), ("tasks", {"flows", "prefect"})])
def test_no_arrow_points_upwards(folder: str, above: set[str]) -> None:
    for file, package, _ in imports(folder):
        assert package not in above, f"{file} imports {package}"
