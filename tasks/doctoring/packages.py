"""The installed packages: what the project needs, what it was tested with, and what params.yaml takes besides."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from tasks.doctoring.finding import Finding, note, ok, problem

if TYPE_CHECKING:  # brings torch
    from tasks.params import Params

CONSTRAINTS = Path("constraints.txt")
SHOWN = 4
"""Packages that a line names before it counts the others."""


def needed() -> list[Finding]:
    """What the project cannot do without."""
    if not installed("wudi"):
        return [problem("packages", "the project itself is not installed", reinstall())]
    wanted = requirements()
    wrong = [difference for requirement in wanted if (difference := differs(requirement))]
    if wrong:
        text = f"{short(wrong)}, but the project needs others"
        return [problem("packages", text, reinstall())]
    return [ok("packages", f"all {len(wanted)} that the project needs are installed")]


def lacking() -> list[str]:
    """The packages that the project cannot do without, and that are not installed."""
    return [requirement.name for requirement in requirements() if not installed(requirement.name)]


def requirements() -> list[Requirement]:
    """What the project says that it needs."""
    listed = (requires("wudi") or []) if installed("wudi") else []
    return [requirement for requirement in map(Requirement, listed) if applies(requirement)]


def tested() -> list[Finding]:
    """The versions that the tests ran with."""
    file = constraints()
    if not file.is_file():
        return []
    lines = [line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines()]
    wanted = [Requirement(line) for line in lines if line]
    here = [requirement for requirement in wanted if applies(requirement) and installed(requirement.name)]
    wrong = [difference for requirement in here if (difference := differs(requirement))]
    if wrong:
        text = f"{len(wrong)} of {len(here)} packages are not those that the tests ran with: {short(wrong)}"
        return [note("versions", text, reinstall())]
    return [ok("versions", f"all {len(here)} packages are those of {file.name}")]


def extras(params: "Params") -> Iterator[Finding]:
    """What this params.yaml needs beyond that."""
    from tasks.fetching.folder import local_folder
    from wudi.folder import is_adapter

    sources = {"base": params.base.source} | {name: expert.source for name, expert in params.experts.items()}
    adapters = [name for name, source in sources.items() if (folder := local_folder(source)) and is_adapter(folder)]
    if adapters and find_spec("peft") is None:
        text = f"peft is not installed, and evaluating {', '.join(adapters)} takes it (LoRA adapters)"
        yield problem("extras", text, "pip install peft")
    if params.evaluation.backend == "vllm" and find_spec("vllm") is None:
        yield problem("extras", "vllm is not installed, and evaluation.backend is vllm", "pip install vllm")
    protocols = {source.partition("://")[0]: name for name, source in sources.items() if "://" in source}
    for protocol, name in protocols.items():
        if package := missing_store(protocol):
            text = f"{package} is not installed, and the source of {name} is {protocol}://"
            yield problem("extras", text, f"pip install {package}")


def missing_store(protocol: str) -> str:
    """The package that fsspec lacks to read a protocol; empty where it lacks none."""
    import fsspec

    try:
        fsspec.get_filesystem_class(protocol)
    except (ImportError, ValueError) as error:
        return {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs"}.get(protocol, str(error))
    return ""


def applies(requirement: Requirement) -> bool:
    """Whether it is for this Python and machine, and for no extra."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def installed(name: str) -> str:
    """The version of a package; empty without it."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def differs(requirement: Requirement) -> str:
    """How what is installed differs from what is wanted; empty where it does not."""
    found = installed(requirement.name)
    if found and requirement.specifier.contains(found, prereleases=True):
        return ""
    return f"{requirement.name} {found or 'missing'} ({requirement.specifier})"


def short(wrong: list[str]) -> str:
    """The first differences, and how many more there are."""
    more = len(wrong) - SHOWN
    return ", ".join(wrong[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def reinstall() -> str:
    """The command that brings the versions that the tests ran with."""
    return f"python -m pip install --constraint {constraints()} --editable {root()}"


def root() -> Path:
    """The folder of the project that is installed: here, where this is it."""
    home = Path(__file__).resolve().parents[2]
    return Path() if home == Path.cwd() else home


def constraints() -> Path:
    """The versions that the tests ran with: those of the current folder before those of the installed project."""
    return CONSTRAINTS if CONSTRAINTS.is_file() else root() / CONSTRAINTS
