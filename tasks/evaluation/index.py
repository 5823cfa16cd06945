"""lm-eval's index of tasks, restricted to the folders that name the task wanted, and to the project's own.

The harness parses its 14,000 task files to know their names, which takes it longer than to load a small model. A task,
a group or a tag can only be defined by a file in which its name stands, so a search through the files' text leaves a
folder or two to index. Where members of a group live elsewhere, the whole harness is indexed after all.
"""

import re
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import lm_eval
from lm_eval.tasks import TaskManager
from lm_eval.tasks._index import Kind
from lm_eval.tasks._yaml_loader import load_yaml

from tasks.strict import ParamsError
from tasks.zoo import TASKS_FOLDER
from wudi.settings import nearest

HARNESS = Path(lm_eval.__file__).parent / "tasks"
OWN = Path("lm_eval_tasks")
"""A project's own tasks; a name of the harness's means the one here."""


def load(name: str) -> dict[str, Any]:
    """The tasks and groups behind a name, as `lm_eval.evaluate` takes them.

    Raises:
        ParamsError: lm-eval has no such task.
    """
    return dict(manager_with(name).load([name]))


def described(name: str) -> dict[str, Any]:
    """What the file of a task or a group says, without loading data or code; empty for a task written in Python.

    Raises:
        ParamsError: lm-eval has no such task, or knows the name as a tag, whose tasks have no score in common.
    """
    entry = manager_with(name).task_index[name]
    if entry.kind is Kind.TAG:
        members = ", ".join(sorted(entry.tags)[:8])
        raise ParamsError(
            f"params.yaml: evaluation.benchmarks: {name} is a tag of lm-eval's, whose tasks have no score in common; "
            f"name one of them: {members}"
        )
    if entry.kind is Kind.GROUP:
        return dict(entry.cfg or {})
    if entry.kind is not Kind.TASK or entry.yaml_path is None:
        return {}
    return dict(load_yaml(entry.yaml_path, resolve_func=False, recursive=True))


@cache
def manager_with(name: str) -> TaskManager:
    """An index in which the name is, and of a group every member, as small as may be.

    Most tasks lie in a folder whose name theirs begins with. A tag alone may be spread over several.
    """
    likely = [str(folder) for folder in task_files() if name.startswith(folder.name)]
    manager = restricted_to(likely)
    if not is_complete(manager, name) or manager.task_index[name].kind is Kind.TAG:
        manager = restricted_to(sorted({*likely, *folders_naming(name)}))
    return manager if is_complete(manager, name) else whole_index(name)


def is_complete(manager: TaskManager, name: str) -> bool:
    """Whether an index has a task, or a group with all of its members."""
    entry = manager.task_index.get(name)
    if entry is None or entry.kind is not Kind.GROUP:
        return entry is not None
    members = (entry.cfg or {}).get("task", [])
    names = [member if isinstance(member, str) else member.get("task") for member in members]
    return all(isinstance(member, str) and is_complete(manager, member) for member in names)


def restricted_to(folders: list[str]) -> TaskManager:
    """An index of the zoo's tasks, of some folders of the harness and of the project's own tasks."""
    return TaskManager(include_path=[str(TASKS_FOLDER), *folders, OWN], include_defaults=False)


def folders_naming(name: str) -> list[str]:
    """The harness's folders with a task file in which the name stands as a word."""
    word = name.encode()
    whole = re.compile(rb"(?<![\w-])" + re.escape(word) + rb"(?![\w-])")
    folders = set()
    for folder, files in task_files().items():
        for file in files:
            text = file.read_bytes()
            if word in text and whole.search(text):
                folders.add(str(folder))
                break
    return sorted(folders)


@cache
def task_files() -> dict[Path, list[Path]]:
    """The harness's task files by the folder of theirs that lies at the top."""
    files: dict[Path, list[Path]] = {}
    for file in sorted(HARNESS.rglob("*.yaml")):
        files.setdefault(HARNESS / file.relative_to(HARNESS).parts[0], []).append(file)
    return files


def whole_index(name: str) -> TaskManager:
    """The index of the whole harness and of the project's own tasks, in which the name must be."""
    manager = TaskManager(include_path=[str(TASKS_FOLDER), OWN])
    if name in manager.all_tasks:
        return manager
    raise ParamsError(
        f"params.yaml: evaluation.benchmarks: lm-eval has no task {name!r}; {near(name, manager.all_tasks)}{unread()}"
    )


def near(name: str, known: Collection[str]) -> str:
    """The nearest task name; all 14,000 of them are too many to list."""
    hint = nearest(name, sorted(known))
    return hint if hint.startswith("did you mean") else f"`lm-eval ls tasks` lists them, and your own lie in {OWN}/"


def unread() -> str:
    """What keeps a task of the project's own from being read; the harness leaves out such a file without a word."""
    for file in sorted(OWN.rglob("*.yaml")):
        try:
            load_yaml(file, resolve_func=False, recursive=True)
        except Exception as error:  # of a file that may hold anything
            return f"; {file} cannot be read: {' '.join(str(error).split())}"
    return ""
