"""A run of the pipeline as Prefect's own page shows it, on a server with its UI that lives as long as the picture."""

import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import httpx

from docs.picturing.browser import opened
from docs.picturing.nights import edit, git, run
from flows.server import HOST, start_server, stop

WINDOW = {"viewport": {"width": 1280, "height": 900}}
PANELS_SECONDS = 60


def prefect_run(browser: Any, project: Path, target: Path) -> None:
    """Change one recipe of a project, in a clone that shares its cache, run the pipeline, and look at the run."""
    os.environ["PREFECT_HOME"] = str(project.with_name("prefect"))
    process, api = start_server(free_port())
    try:
        run_changed(project, project.with_name("changed"), api)
        (found,) = httpx.post(f"{api}/flow_runs/filter", json={"limit": 1, "sort": "START_TIME_DESC"}).json()
        address = f"{api.removesuffix('/api')}/runs/flow-run/{found['id']}"
        with opened(browser, address, **WINDOW) as page:
            page.get_by_text("record").first.wait_for(timeout=1000 * PANELS_SECONDS)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=target)
    finally:
        stop(process)


def free_port() -> int:
    """A port that nothing listens on; a server with its UI is told one."""
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def run_changed(project: Path, folder: Path, api: str) -> None:
    """Run what a changed setting of TIES touches; what it does not is found unchanged."""
    shutil.rmtree(folder, ignore_errors=True)
    git(folder.parent, "clone", "--quiet", str(project), str(folder))
    cache = project / ".dvc" / "cache"
    run([sys.executable, "-m", "dvc", "config", "--local", "cache.dir", str(cache)], folder)
    run([sys.executable, "-m", "tasks.restore"], folder)
    edit(folder, lambda values: values["recipes"]["ties"].update(density=0.3))
    os.environ["PREFECT_API_URL"] = api
    try:
        run([sys.executable, "-m", "flows.pipeline"], folder)
    finally:
        del os.environ["PREFECT_API_URL"]
