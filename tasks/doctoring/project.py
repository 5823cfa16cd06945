"""The project: params.yaml, git, DVC with its cache and locks, and room on the disk."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import paths
from tasks.doctoring.finding import Finding, discreet, note, ok, problem
from tasks.params import Params, load_params
from wudi.errors import WudiError

if TYPE_CHECKING:  # DVC takes most of a second
    from dvc.repo import Repo

LITTLE_SPACE = 5e9
"""What the zoo with all its recipes takes, several times."""


@dataclass(frozen=True)
class Project:
    """The folder that the doctor was called in."""

    params: Params | None
    """None outside a project, and where the file has mistakes."""
    repo: "Repo | None"
    findings: tuple[Finding, ...]
    """What kept them from being read, or that nothing did."""


def read_project() -> Project:
    """The project in the current folder."""
    if not paths.PARAMS.is_file():
        text = "none in this folder: only the machine was looked at"
        return Project(None, None, (note("params.yaml", text, "cd to the project's folder, and run the doctor there"),))
    params, found = read_params()
    repo, opened = open_repository()
    return Project(params, repo, (found, *git(), opened))


def read_params() -> tuple[Params | None, Finding]:
    """params.yaml, and what is wrong with it."""
    try:
        params = load_params()
    except WudiError as error:
        mistakes = [line.removeprefix(f"{paths.PARAMS}: ") for line in str(error).splitlines()]
        return None, problem("params.yaml", "; ".join(mistakes), f"edit {paths.PARAMS}, and run the doctor again")
    counts = f"experts: {len(params.experts)}, recipes: {len(params.recipes)}"
    return params, ok("params.yaml", f"{counts}, benchmarks: {len(params.evaluation.benchmarks)}")


def git() -> Iterator[Finding]:
    """Whether git keeps this folder, and knows whose commits they are."""
    if shutil.which("git") is None:
        yield problem("git", "not installed", "sudo apt-get install git")
    elif not git_says("rev-parse", "--show-toplevel"):
        yield problem("git", "this folder is no repository, so nothing of it has a history", "git init")
    else:
        usual = {"user.name": "YOUR NAME", "user.email": "YOU@EXAMPLE.ORG"}
        missing = [key for key in usual if not git_says("config", key)]
        if missing:
            remedy = "; ".join(f"git config --global {key} '{usual[key]}'" for key in missing)
            yield note("git", f"{' and '.join(missing)} not set, which commits and experiments take", remedy)
        else:
            yield ok("git", f"a repository, commits as {git_says('config', 'user.name')}")


def git_says(*words: str) -> str:
    """The answer of a git command; empty where it fails."""
    answer = subprocess.run(["git", *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def open_repository() -> tuple["Repo | None", Finding]:
    """DVC's view of the folder, and what keeps it from having one."""
    from dvc import __version__
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        repo = Repo()
    except NotDvcRepoError:
        return None, problem("DVC", "not set up in this folder", "dvc init")
    except Exception as error:  # a broken configuration has errors of several libraries
        return None, problem("DVC", f"cannot read its configuration ({discreet(error)})", "dvc config --list")
    return repo, ok("DVC", f"{__version__}, cache in {repo.cache.local.path}")


def links(repo: "Repo") -> Iterator[Finding]:
    """Whether a checkpoint lies on the disk once or twice, found out by linking a file."""
    from dvc.fs import generic

    cache = repo.cache.local
    wanted = [kind for kind in cache.cache_types if kind != "copy"]
    try:
        able = generic.test_links(wanted, cache.fs, cache.path, repo.fs, repo.fs.join(repo.root_dir, "a"))
    except OSError as error:
        yield problem("cache", f"{cache.path}: cannot be written ({error.strerror})", f"ls -ld {cache.path}")
        return
    if able:
        yield ok("cache", f"a file is there once: {able[0]}s work between cache and workspace")
    elif wanted:
        text = f"no {' or '.join(wanted)} between cache and workspace, so every checkpoint is there twice"
        yield note("cache", text, "dvc cache dir DIR, with DIR on the same file system as this folder")
    else:
        yield note("cache", "set to copy, so every checkpoint is there twice", "dvc config cache.type hardlink,symlink")


def locks(repo: "Repo") -> Iterator[Finding]:
    """Marks of DVC's processes on the paths that they use, left by those that were killed."""
    import psutil

    file = Path(repo.tmp_dir or "") / "rwlock"
    try:
        marks = json.loads(file.read_text(encoding="utf-8"))
        pids = {int(mark["pid"]) for mark in all_marks(marks)}
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        yield problem("locks", f"{file} was cut off, and DVC refuses to work with it", f"rm {file}")
        return
    alive = sorted(pid for pid in pids if psutil.pid_exists(pid))
    if alive:
        numbers = ",".join(map(str, alive))
        yield note("locks", f"DVC is at work here in {numbers}", f"wait for it; ps -p {numbers} tells what it is")
    elif pids:
        yield note("locks", f"{file} names {len(pids)} processes that are gone; DVC overlooks them", f"rm {file}")


def all_marks(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every mark in DVC's file: one that writes a path, several that read it."""
    yield from content.get("write", {}).values()
    for readers in content.get("read", {}).values():
        yield from readers


def space(folder: Path = Path()) -> Finding:
    """What is free on the disk of this folder."""
    free = shutil.disk_usage(folder).free
    text = f"{free / 1e9:.1f} GB free in {folder.resolve()}"
    if free < LITTLE_SPACE:
        return note("disk", text, "python -m tasks.gc --dry, which says what could go")
    return ok("disk", text)
