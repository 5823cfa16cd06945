"""Which model a server serves: a score must belong to the model that was evaluated."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from tasks.evaluation.backends.completions import Refused, Unavailable
from tasks.evaluation.settings import Server
from tasks.strict import ParamsError

SECONDS = 10
"""For the list of models."""


@dataclass(frozen=True)
class Listed:
    """A model in a server's list."""

    id: str
    """What requests call it."""
    root: str | None = None
    """What vLLM has loaded under that name: a path, or an id of the Hub."""
    length: int | None = None
    """Tokens of a prompt and its answer together, where the server says so."""

    def is_in(self, folder: Path) -> bool:
        """Whether the server says that it has loaded this folder."""
        return any(Path(name).resolve() == folder.resolve() for name in self.names())

    def is_elsewhere(self, folder: Path) -> bool:
        """Whether it says that it has loaded another folder, of this machine."""
        return any("/" in name and Path(name).is_dir() for name in self.names()) and not self.is_in(folder)

    def names(self) -> list[str]:
        """Whatever may be a folder."""
        return [self.id, self.root] if self.root else [self.id]


def listed_models(url: str) -> list[Listed]:
    """The models that a server lists.

    Raises:
        Unavailable: The server does not answer, which may pass.
        Refused: It lists no models.
    """
    where = f"{url}/models"
    headers = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', '')}"}
    with requests.Session() as session:
        session.trust_env = False  # as the client of completions, which goes by no proxy
        try:
            response = session.get(where, headers=headers, timeout=SECONDS)
        except requests.RequestException as error:
            raise Unavailable(f"{where} does not answer ({type(error).__name__})") from None
    if response.status_code in (401, 403):
        raise Refused(f"{where} answered {response.status_code}: it takes a key; set OPENAI_API_KEY in the environment")
    if response.status_code >= 500:
        raise Unavailable(f"{where} answers {response.status_code}")
    try:
        entries = response.json()["data"]
        return [Listed(str(entry["id"]), entry.get("root"), entry.get("max_model_len")) for entry in entries]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise Refused(
            f"{where} answered {response.status_code} and no list of models; evaluation.server takes an "
            "OpenAI-compatible server, and its url goes up to and with /v1"
        ) from None


def served_name(models: Sequence[Listed], url: str, folder: Path, server: Server) -> tuple[str, list[str]]:
    """What the server calls the model in the folder, and a warning where it cannot be told that it is that.

    Raises:
        ParamsError: The server serves another model.
    """
    name = name_of(models, url, folder, server)
    listed = next((model for model in models if model.id == name), Listed(name))
    if listed.is_elsewhere(folder):
        raise ParamsError(
            f"params.yaml: evaluation.server: {url} serves {listed.root or name} as {name}, not {folder}; {ADVICE}"
        )
    if server.command is not None:
        return name, []
    if listed.is_in(folder):
        return name, [f"{url} was running: whether it has loaded the present weights of {folder} cannot be checked"]
    return name, [f"{url} was running: whether its {name} is {folder} cannot be checked"]


def name_of(models: Sequence[Listed], url: str, folder: Path, server: Server) -> str:
    """The name by params.yaml, else by the list: of what the server has loaded from the folder, or the only one."""
    names = [model.id for model in models]
    if server.model is not None:
        name = server.model.format(model=folder.absolute())
        if name not in names and not Listed(name).is_in(folder):
            raise ParamsError(f"params.yaml: evaluation.server.model: {url} {offers(names)}, not {name}")
        return name
    for model in models:
        if model.is_in(folder):
            return model.id
    if server.command is not None and len(names) == 1:
        return names[0]
    raise ParamsError(
        f"params.yaml: evaluation.server: {url} {offers(names)}, not {folder}; write `model: NAME` below server if "
        f"this model is there under another name; {ADVICE}"
    )


ADVICE = "one server holds one model, and every model is evaluated: `command` in place of `url` starts one for each"


def offers(names: Sequence[str]) -> str:
    """What a server lists, in words."""
    return f"serves {', '.join(names)}" if names else "lists no model"
