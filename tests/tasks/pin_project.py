"""A project with models of the Hub, and `python -m tasks.pin` in a process that knows no other Hub."""

import os
import sys
from pathlib import Path
from typing import Any

import yaml

from tasks.console import command, quiet
from tasks.pin import main
from tests.conftest import ROOT
from tests.forking import forked_off
from tests.tasks.fetch_project import client
from tests.tasks.hub_server import HubServer


def project(folder: Path, base: str, revision: str | None = None, **experts: tuple[str, str | None]) -> Path:
    """Write a params.yaml with comments: this base, these experts (source, revision), and one of the zoo."""
    rest = {key: values for key, values in values_of(ROOT / "params.yaml").items() if key not in ("base", "experts")}
    lines = [
        "# The models.",
        f"base: {{source: '{base}', revision: {scalar(revision)}}} # the base",
        "experts:",
        "  zoo: {source: 'zoo:math', revision: null, benchmarks: [gsm8k, math, humaneval, mbpp]}",
    ]
    for name, (source, wanted) in experts.items():
        lines += [f"  {name}:", f"    source: '{source}'", f"    revision: {scalar(wanted)}   # of {name}", ""]
    folder.mkdir(exist_ok=True)
    file = folder / "params.yaml"
    file.write_text("\n".join([*lines, yaml.safe_dump(rest)]))
    return file


def scalar(revision: str | None) -> str:
    return "null" if revision is None else f"'{revision}'"


def values_of(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


def revisions(file: Path) -> dict[str, str | None]:
    """What the file says now, by model."""
    values = values_of(file)
    return {name: model["revision"] for name, model in {"base": values["base"], **values["experts"]}.items()}


def pin(folder: Path, hub: HubServer, *arguments: str, **more: str) -> tuple[int, str, str]:
    """`python -m tasks.pin` until it ends: status, output, errors."""
    process = forked_off("tasks.pin").Process(target=run, args=(folder, client(hub, folder, **more), arguments))
    process.start()
    process.join(timeout=120)
    assert process.exitcode is not None
    return process.exitcode, (folder / "out").read_text(), (folder / "errors").read_text()


def run(folder: Path, environment: dict[str, str], arguments: tuple[str, ...]) -> None:
    """The command in a process forked before the Hub's client was imported, which reads its environment then."""
    assert "huggingface_hub" not in sys.modules
    for descriptor, name in ((1, "out"), (2, "errors")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["tasks.pin", *arguments]
    quiet()
    command(main)
