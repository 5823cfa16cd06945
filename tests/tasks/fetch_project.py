"""A project of which the base is fetched, as a child process or right here."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tasks import paths
from tasks.console import command, quiet
from tasks.fetch import fetch, main
from tasks.params import load_params
from tests.conftest import ROOT
from tests.forking import forked_off
from tests.tasks.hub_server import HubServer

BASE = paths.BASE
PARTIAL = paths.BASE.with_name("base.partial")


def write_params(folder: Path, source: str, revision: str | None = None) -> None:
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["base"] = {"source": source, "revision": revision}
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(values))


def client(hub: HubServer, folder: Path, **more: str) -> dict[str, str]:
    """The environment of a client of the Hub that knows no token of this machine."""
    here = {name: value for name, value in os.environ.items() if name not in ("HF_TOKEN", "HF_HUB_OFFLINE")}
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1", **more}
    return {**here, "HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONPATH": str(ROOT), **settings}


def started(folder: Path, hub: HubServer, out: int = subprocess.PIPE, **more: str) -> subprocess.Popen[str]:
    """`python -m tasks.fetch base` as it begins."""
    arguments = [sys.executable, "-m", "tasks.fetch", "base"]
    environment = client(hub, folder, **more)
    return subprocess.Popen(
        arguments, cwd=folder, env=environment, stdout=out, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def fetched_from_hub(folder: Path, hub: HubServer, source: str, revision: str | None = None, **more: str) -> Any:
    """`python -m tasks.fetch base` until it ends, in a process that need not import torch: status, output, errors."""
    write_params(folder, source, revision)
    process = forked_off("tasks.fetch").Process(target=run_stage, args=(folder, client(hub, folder, **more)))
    process.start()
    process.join(timeout=120)
    return process.exitcode, (folder / "out").read_text(), (folder / "errors").read_text()


def run_stage(folder: Path, environment: dict[str, str]) -> None:
    """The stage in a process that was forked before the Hub's client was imported, which reads its environment then."""
    assert "huggingface_hub" not in sys.modules
    for descriptor, name in ((1, "out"), (2, "errors")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["tasks.fetch", "base"]
    quiet()
    command(main)


def fetch_here(folder: Path, source: str) -> Path:
    """Fetch the base in this process, whose working folder is `folder`."""
    write_params(folder, source)
    params = load_params()
    fetch(params.base, paths.BASE, params)
    return paths.BASE


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the record of a fetch."""
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != "source.json")
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}
