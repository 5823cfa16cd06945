"""Git, as far as nights need it: each call one `git` in one repository, a failure one paragraph."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from tasks.alerts import hosts_alone
from wudi.errors import WudiError

TRIES = 3
"""Attempts at what goes over the network."""
PAUSE = 5.0
"""Seconds before the second attempt; doubled for each one after it."""
LIMIT = 3600.0
"""Seconds after which a call is given up: a connection that hangs must not take the night with it."""
CLONE = "NIGHTLY_CLONE"
"""The variable by which git, and what it starts, is known to be at work for a clone: it may outlive its night."""
TELLING = re.compile(r"(?:remote:\s*)?(?:fatal|error): |! \[(?!.*\(atomic push failed\))")
"""How the lines begin in which git says why; what failed only because of another reference says nothing."""
HINT = re.compile(r"(?:remote:\s*)?hint:|remote:$")
"""And those for people at a terminal."""
SHOWN = 4
"""Lines of what git said that a message has."""

Result = TypeVar("Result")


class GitFailed(WudiError):
    """Git refused, or is not there; the message is what it said."""


class Git:
    """The repository at, or above, a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """What `git ARGUMENTS` prints, without the space around it.

        Raises:
            GitFailed: It ended with another status than 0.
        """
        process = self.run(*arguments, stdin=stdin)
        if process.returncode:
            raise GitFailed(f"git {arguments[0]} failed in {self.root}: {reason(process)}")
        return process.stdout.strip()

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """The process, however it ended."""
        return start(self.root, ["-C", str(self.root), *arguments], stdin)

    def over_network(self, *arguments: str) -> str:
        """The same, tried again a few times: connections fail and come back.

        Raises:
            GitFailed: The last attempt failed.
        """
        return persistently(lambda: self(*arguments))

    def commit(self, name: str) -> str | None:
        """The commit that a branch, a tag or another name stands for; None if there is no such name."""
        process = self.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        return process.stdout.strip() or None

    def has(self, commit: str, path: str) -> bool:
        """Whether a commit has a file or folder."""
        return bool(self("ls-tree", "--name-only", commit, "--", path))

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether one commit can be reached from the other, or is the same."""
        return self.run("merge-base", "--is-ancestor", older, newer).returncode == 0

    def setting(self, name: str) -> str | None:
        """A value of git's configuration."""
        return self.run("config", "--get", name).stdout.strip() or None


def persistently(action: Callable[[], Result]) -> Result:
    """Do something over the network, a few times if need be."""
    for attempt in Retrying(
        stop=stop_after_attempt(TRIES),
        wait=wait_exponential(multiplier=PAUSE),
        retry=retry_if_exception_type(GitFailed),
        reraise=True,
    ):
        with attempt:
            return action()
    raise AssertionError("the last attempt returns or raises")


def start(folder: Path, arguments: list[str], stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run git for a clone in a folder: without a terminal, so that it asks nobody for a password, and in English."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in KEPT},
        CLONE: str(folder.resolve()),
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }
    try:
        return subprocess.run(
            ["git", *arguments],
            input=stdin or "",
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise GitFailed("git is not installed, and nights are kept in it: install it (apt-get install git)") from None
    except subprocess.TimeoutExpired:
        command = hosts_alone(" ".join(arguments))
        raise GitFailed(f"git {command} did not end within {LIMIT:g} s and was stopped") from None


KEPT = (
    "GIT_ASKPASS",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_NAME",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_NAME",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "GIT_SSL_NO_VERIFY",
)
"""What of the environment reaches git: GIT_DIR and the like, which a hook sets, would send it elsewhere."""


def reason(process: subprocess.CompletedProcess[str]) -> str:
    """Why git failed, in what it said itself, on one line and without the secrets of an address."""
    said = [line.strip() for line in (process.stderr.strip() or process.stdout.strip()).splitlines()]
    lines = list(dict.fromkeys(line for line in said if line and not HINT.match(line)))
    telling_first = sorted(lines, key=lambda line: TELLING.match(line) is None)[:SHOWN]
    shown = [line.removeprefix("fatal: ").removeprefix("error: ") for line in lines if line in telling_first]
    return hosts_alone("; ".join(shown)) or f"status {process.returncode}"
