"""Git as a person uses it in a checkout."""

import subprocess
from collections.abc import Callable
from pathlib import Path

Git = Callable[..., str]


def git_in(root: Path) -> Git:
    """Run git in a folder, as somebody who is known to it."""

    def git(*arguments: str) -> str:
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "protocol.file.allow=always"]
        process = subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True, text=True)
        return process.stdout.strip()

    return git


def commit_all(root: Path, message: str = "a commit") -> str:
    """Commit every file, and return the commit."""
    git = git_in(root)
    git("add", "--all")
    git("commit", "-q", "--allow-empty", "-m", message)
    return git("rev-parse", "HEAD")
