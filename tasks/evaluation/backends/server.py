"""The backend `server`: an OpenAI-compatible server, started for the model or running already."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from lm_eval.api.instance import Instance
from lm_eval.models.utils import resolve_max_length
from transformers import AutoConfig

from tasks.console import bar, step
from tasks.evaluation.backends.backend import Backend
from tasks.evaluation.backends.completions import KEPT, Completions, Refused, Unavailable
from tasks.evaluation.backends.served import Listed, listed_models, served_name
from tasks.evaluation.backends.server_process import ServerProcess, arguments_of, free_port, running
from tasks.evaluation.settings import Evaluation, Server
from wudi.errors import WudiError
from wudi.folder import is_adapter

INTERVAL = 0.5
"""Seconds between two questions whether a server is ready."""
PATIENCE = 5
"""Seconds that a server which runs already may take until it answers."""
BATCHED = (
    "servers and vLLM choose which requests they compute together, which decides the last bits of the logits: "
    "asked again, a question may get another answer"
)
"""What every score says that was not computed in this process."""


@contextmanager
def serve(folder: Path, evaluation: Evaluation) -> Iterator[Backend]:
    """The model in a folder behind a server, which is ended with the block if it was started for it.

    Raises:
        WudiError: The server cannot be started, does not answer, or serves another model.
    """
    server = evaluation.server
    assert server is not None
    refuse_adapter(folder, "server")
    if server.url is not None:
        url = server.url.rstrip("/")
        yield connect(url, wait_for(url, PATIENCE), folder, server, nothing)
        return
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1"
    with running(arguments_of(server, folder.absolute(), port), folder.name) as process:
        models = wait_for(url, server.start_seconds, process)
        step(f"the server of {folder} answers; what it prints is in {process.log}")
        yield connect(url, models, folder, server, partial(process.check, KEPT))
        # Had it found its port taken meanwhile, another one would have answered.
        process.check()


def nothing() -> None:
    """Whether a server that runs already has ended cannot be told."""


def refuse_adapter(folder: Path, backend: str) -> None:
    """Raise a `WudiError` for an adapter, which servers load in ways of their own."""
    if is_adapter(folder):
        raise WudiError(
            f"{folder}: is a PEFT adapter, which evaluation.backend {backend} does not take; write backend: hf, or add "
            f"it to its base with `wudi merge BASE {folder} --method task_arithmetic --set scale=1 --out FOLDER` and "
            "make FOLDER the expert's source"
        )


def wait_for(url: str, seconds: int, process: ServerProcess | None = None) -> list[Listed]:
    """The models that a server lists, once it answers.

    Raises:
        WudiError: The server has ended, or does not answer in time.
    """
    deadline = time.monotonic() + seconds
    with bar("waiting for the server", int(seconds / INTERVAL)) as advance:
        while True:
            if process is not None:
                process.check()
            try:
                return listed_models(url)
            except Unavailable as problem:
                if time.monotonic() >= deadline:
                    raise WudiError(too_late(problem, seconds, process)) from None
            time.sleep(INTERVAL)
            advance(1)


def too_late(problem: Unavailable, seconds: int, process: ServerProcess | None) -> str:
    """What to do about a server that does not answer."""
    if process is None:
        return (
            f"params.yaml: evaluation.server.url: {problem}; start the server, or write the address up to and with /v1"
        )
    return (
        f"params.yaml: evaluation.server.command: {problem} after {seconds} s; raise evaluation.server.start_seconds "
        f"if it needs longer{process.last_lines()}"
    )


def connect(url: str, models: list[Listed], folder: Path, server: Server, check: Callable[[], None]) -> Backend:
    """The model behind a server that answers.

    Raises:
        WudiError: The server serves another model, or does not take requests.
    """
    model, warnings = served_name(models, url, folder, server)
    length, shorter = length_of(folder, model, models)
    lm = Completions(url, model, folder, length, server.concurrency, check)
    return Backend(
        lm=lm,
        tokenizer=lm.tokenizer,
        device=f"server {url}" if server.command is None else "server",
        dtype="as served",
        warnings=(BATCHED, *warnings, *shorter, *agree_on_prompts(lm)),
        together=4 * server.concurrency,
    )


def length_of(folder: Path, model: str, models: list[Listed]) -> tuple[int, list[str]]:
    """The tokens that a prompt and its answer have room for, and a warning where the server has less than the model."""
    own = resolve_max_length(AutoConfig.from_pretrained(folder))
    served = next((listed.length for listed in models if listed.id == model), None) or own
    if served >= own:
        return own, []
    return served, [
        f"the server takes {served} tokens where the model takes {own}: longer prompts lost their beginning"
    ]


def agree_on_prompts(lm: Completions) -> list[str]:
    """Ask for one token: by tokens, which leave nothing open, else by text; and a warning if it is by text.

    Raises:
        WudiError: The server takes neither.
    """
    question = Instance("generate_until", {}, ("1 + 1 =", {"max_gen_toks": 1}), 0)
    try:
        lm.generate_until([question])
    except Refused as refused:
        lm.tokenized_requests = False
        try:
            lm.generate_until([question])
        except Refused:
            raise refused from None
        return ["the server takes no prompts as tokens: it was sent text, which it tokenizes itself"]
    return []
