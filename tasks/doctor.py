"""See whether this machine and this project have what a run takes: `python -m tasks.doctor`."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from tasks.console import command, console, quiet, waiting
from tasks.doctoring.finding import Finding
from wudi.commands.arguments import Arguments

if TYPE_CHECKING:
    from tasks.doctoring.project import Project
    from tasks.doctoring.waiting import Waiting

NAME_WIDTH = 11
STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}
EXAMPLES = (
    ("python -m tasks.doctor", "in a project's folder: the machine and the project; elsewhere the machine"),
    ("python -m tasks.doctor --json", "for programs"),
    ("make doctor", "the same in the project's own environment, which is made on first use"),
)


def main() -> None:
    """Print what was found, a line each; status 1 if something is in the way of a run."""
    parser = Arguments(
        prog="python -m tasks.doctor",
        description="See whether this machine and this project have what a run takes, and how to mend what they lack.\n"
        "Nothing is changed. The exit status is 1 if something is in the way of a run.",
        reads="the machine, installed packages, params.yaml, git, DVC; asks DVC's remote, the Hub and Prefect's server",
        examples=EXAMPLES,
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    as_json = parser.parse_args().json
    findings = []
    for finding in examine():
        findings.append(finding)
        if not as_json:
            tell(finding)
    problems = sum(finding.state == "problem" for finding in findings)
    if as_json:
        content = {"problems": problems, "findings": list(map(asdict, findings))}
        console.out(json.dumps(content, indent=1), highlight=False)
    else:
        console.print(summary(findings, problems), markup=False)
    sys.exit(1 if problems else 0)


def examine() -> Iterator[Finding]:
    """Everything, in the order in which it is told: what waits for others is asked for first and told last."""
    from tasks.doctoring import machine, packages

    yield from machine.python()
    yield from packages.needed()
    if packages.lacking():
        return  # nothing more can be imported
    with waiting("looking"):  # torch and DVC take seconds to load
        from tasks.doctoring import project

        here = project.read_project()
    params, repo = here.params, here.repo
    asked = ask(here)
    yield from packages.tested()
    yield from machine.torch_and_gpus(params)
    yield from machine.cores_and_memory()
    yield from machine.sandbox(params)
    yield project.space()
    yield from here.findings
    yield from () if params is None else packages.extras(params)
    yield from () if repo is None else (*project.links(repo), *project.locks(repo))
    yield from asked.findings()


def ask(here: "Project") -> "Waiting":
    """Everybody over the network whom this project needs."""
    from tasks.doctoring import hub, services
    from tasks.doctoring.waiting import Check, Waiting

    params, repo = here.params, here.repo
    models = {} if params is None else hub.hub_models(params)
    checks: dict[str, Check] = {}
    if repo is not None:
        checks["DVC remote"] = lambda: services.remote(repo)
    checks["Hub token"] = lambda: list(hub.token(models))
    if params is not None and models:
        checks["Hub models"] = lambda: list(hub.models(params))
    checks["Prefect"] = services.prefect
    return Waiting(checks)


def tell(finding: Finding) -> None:
    """One line, and the remedy below it."""
    console.print(f"[{STYLES[finding.state]}]{finding.state:<8}[/] ", end="")
    console.print(f"{finding.name:<{NAME_WIDTH}} {finding.text}", markup=False)
    if finding.remedy:
        console.print(f"{'':<{NAME_WIDTH + 10}}to mend: {finding.remedy}", markup=False, style="dim")


def summary(findings: Sequence[Finding], problems: int) -> str:
    """What all of it comes to."""
    if problems:
        return f"{problems} {'thing is' if problems == 1 else 'things are'} in the way of a run"
    notes = sum(finding.state == "note" for finding in findings)
    return "nothing is in the way of a run" + (f"; {notes} to know" if notes else "")


if __name__ == "__main__":
    quiet()
    command(main)
