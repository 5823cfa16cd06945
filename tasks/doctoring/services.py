"""Who is to answer over the network: DVC's remote, and Prefect's server."""

import os
import re
import tomllib
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.doctoring.finding import Finding, discreet, note, ok, problem
from wudi.errors import WudiError

if TYPE_CHECKING:
    from dvc.repo import Repo

SECONDS = 4.0
"""Patience with one answer."""

START = "prefect server start; or, to do without, unset PREFECT_API_URL"


def remote(repo: "Repo") -> list[Finding]:
    """DVC's default remote, asked whether it holds anything."""
    from tasks.storage.repository import remote_objects

    name = repo.config["core"].get("remote")
    if name is None:
        text = "none: checkpoints and results stay on this machine"
        return [note("DVC remote", text, "dvc remote add --default storage s3://BUCKET/PATH")]
    try:
        objects = remote_objects(repo, name)
    except WudiError as error:
        remedy = f"dvc remote list; dvc remote modify {name} url URL; or, to fill a new one, dvc push"
        if "credentials" in str(error):
            remedy = f"log in to the store; or dvc remote modify --local {name} access_key_id ID, and secret_access_key"
        return [problem("DVC remote", discreet(error), remedy)]
    except Exception as error:  # a remote that is not configured, or whose package is missing
        package = re.search(r"requires '([\w-]+)' to be installed", str(error))
        remedy = f"pip install {package[1]}" if package else "dvc remote list"
        return [problem("DVC remote", f"{name}: {discreet(error)}", remedy)]
    return [ok("DVC remote", discreet(f"{name} answers ({objects.path})"))]


def prefect() -> list[Finding]:
    """The server that PREFECT_API_URL names, its version beside the one that is installed."""
    import httpx

    url = prefect_url()
    if not url:
        return [ok("Prefect", f"{version('prefect')}; flows start a server of their own (PREFECT_API_URL is not set)")]
    try:
        with httpx.Client(timeout=SECONDS, headers=prefect_login(), follow_redirects=True) as client:
            client.get(f"{url}/health").raise_for_status()
            answer = client.get(f"{url}/admin/version").raise_for_status().json()
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        remedy = "export PREFECT_API_KEY=...; or PREFECT_API_AUTH_STRING=..." if status in (401, 403) else START
        return [problem("Prefect", f"{discreet(url)} answers with status {status}", remedy)]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        reason = discreet(error) or type(error).__name__
        return [problem("Prefect", f"{discreet(url)} does not answer ({reason})", START)]
    if answer != version("prefect"):
        text = f"{discreet(url)} has version {answer}, and {version('prefect')} is installed here"
        return [note("Prefect", text, f"pip install prefect=={answer}, or the other version there")]
    return [ok("Prefect", f"{answer} at {discreet(url)}")]


def prefect_url() -> str:
    """The API's address, from where Prefect looks for it: the environment, prefect.toml, the profile in use."""
    if url := os.environ.get("PREFECT_API_URL"):
        return url.rstrip("/")
    if url := read_toml(Path("prefect.toml")).get("api", {}).get("url"):
        return str(url).rstrip("/")
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    profiles = read_toml(Path(os.environ.get("PREFECT_PROFILES_PATH", home / "profiles.toml")))
    name = os.environ.get("PREFECT_PROFILE", profiles.get("active", ""))
    return str(profiles.get("profiles", {}).get(name, {}).get("PREFECT_API_URL", "")).rstrip("/")


def prefect_login() -> dict[str, str]:
    """What Prefect's client would send to be let in."""
    from base64 import b64encode

    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if words := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {b64encode(words.encode()).decode()}"}
    return {}


def read_toml(file: Path) -> Mapping[str, Any]:
    """A file's tables; none where there is no such file, or it is broken, of which Prefect itself tells."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
