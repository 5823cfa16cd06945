import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_HOME, temporary_settings

from flows.server import LOG_BYTES, port_of, running, start_server, stop, words


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with temporary_settings({PREFECT_HOME: tmp_path}):
        yield tmp_path


def test_a_server_that_hangs_before_it_listens_is_given_up():
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with pytest.raises(ValueError, match="before it listened"):
        port_of(process, 0.5)
    stop(process)
    assert process.returncode != 0


def test_a_server_that_was_stopped_is_forgotten():
    process, _ = start_server()
    assert process in running
    for _ in range(2):
        stop(process)
    assert process not in running


def test_a_log_is_kept_over_starts_and_put_aside_when_it_is_long(home: Path):
    log, old = home / "server-4200.log", home / "server-4200.log.1"
    for said in (b"why it died", b"x" * LOG_BYTES, b"now"):
        with words(4200) as file:
            file.write(said)
    assert log.read_text().endswith("now") and log.read_text().count("--- started") == 1
    assert "why it died" in old.read_text() and old.read_text().count("--- started") == 2
