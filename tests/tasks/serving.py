"""What the tests of servers share: settings, questions, and a server of canned answers."""

import json
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from lm_eval.api.instance import Instance

from tasks.evaluation.backends import server as evaluation_server
from tasks.evaluation.backends.server_process import free_port, running
from tasks.evaluation.settings import Evaluation
from tests.conftest import ROOT

SERVER = [sys.executable, str(ROOT / "tests" / "tasks" / "completions_server.py")]
GREEDY = {"do_sample": False, "temperature": 0.0, "max_gen_toks": 24}


def settings(**server: Any) -> Evaluation:
    return Evaluation.model_validate({"backend": "server", "server": server, "benchmarks": {"gsm8k": None}})


def command(*faults: str) -> str:
    return f"{shlex.join(SERVER)} --model {{model}} --port {{port}} {shlex.join(faults)}"


def ask(prompt: str, **settings: Any) -> Instance:
    return Instance("generate_until", {}, (prompt, {**GREEDY, **settings}), 0)


def score(context: str, continuation: str) -> Instance:
    return Instance("loglikelihood", {}, (context, continuation), 0)


def requests_in(file: Path) -> list[dict[str, Any]]:
    """What was asked behind the question of the start."""
    return [json.loads(line) for line in file.read_text().splitlines()][1:]


@contextmanager
def listening(folder: Path, *faults: str) -> Iterator[str]:
    """A server that was started by others, which answers everything with `four`."""
    port = free_port()
    arguments = [*SERVER, "--model", str(folder), "--port", str(port), "--canned", "four", *faults]
    with running(arguments, "other"):
        url = f"http://127.0.0.1:{port}/v1"
        evaluation_server.wait_for(url, 60)
        yield url


def started_by(file: Path) -> list[psutil.Process]:
    """A server and its child, once it has written their ids."""
    while not (file.is_file() and len(file.read_text().split()) == 2):
        time.sleep(0.05)
    return [psutil.Process(int(pid)) for pid in file.read_text().split()]
