"""`wudi inspect`: what models are, and whether they can be merged."""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wudi.errors import WudiError

if TYPE_CHECKING:
    from wudi.experts import ExpertOutline
    from wudi.inspection import Facts
    from wudi.preflight import Finding, Findings

DESCRIPTION = """Show what models are, without bringing a weight here.

Of several the first is the base: what they share comes first, then what differs, then what keeps them from being
merged. The exit status is 1 if something does.
"""
EXAMPLES = (
    ("wudi inspect ./base", "what one model is"),
    ("wudi inspect ./base ./math ./code", "can these two be merged into that base?"),
    ("wudi inspect me/base me/math@v2 s3://models/code", "the same before they are downloaded"),
    ("wudi inspect ./base --tensors", "every tensor with its dtype and shape"),
    ("wudi inspect ./base ./math --json", "for programs"),
)


def add(commands: Any) -> None:
    """The arguments."""
    parser = commands.add_parser(
        "inspect",
        help="show what models are, and whether they can be merged",
        description=DESCRIPTION,
        reads="configs, tokenizers, and the headers of the weights, wherever they lie",
        examples=EXAMPLES,
    )
    parser.add_argument(
        "models", nargs="+", metavar="MODEL", help="folder, .safetensors file, Hub id OWNER/NAME[@REVISION] or URL"
    )
    parser.add_argument(
        "--vocabulary",
        choices=("error", "base", "union"),
        default="error",
        help="what the merge is to do with experts with other tokens, as in `wudi merge`",
    )
    parser.add_argument("--tensors", action="store_true", help="list every tensor with its dtype and shape")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print what the models are, and whether they fit; status 1 if they do not."""
    from wudi.inspection import facts
    from wudi.preflight import Findings, examine

    sound, unreadable = opened(options.models)
    base, *experts = sound
    models = [(model.name, facts(model)) for model in sound]
    several = len(options.models) > 1
    findings = examine(base.outline, experts, options.vocabulary) if several else None
    if findings and unreadable:
        findings = Findings((*unreadable, *findings.problems), findings.notes)
    if options.json:
        print(json.dumps(as_json(sound, models, findings, options.tensors), indent=2))
    else:
        show(sound, models, findings, options.tensors)
    if findings and findings.problems:
        sys.exit(1)


def opened(models: Sequence[str]) -> "tuple[list[ExpertOutline], list[Finding]]":
    """The models that can be read, the base first, and why the others cannot.

    Raises:
        WudiError: The base cannot be read: what is wrong with it, and with the others too.
    """
    from wudi.experts import ExpertOutline
    from wudi.preflight import Finding
    from wudi.remote import outlines

    sound: list[ExpertOutline] = []
    problems: list[Finding] = []
    found = outlines(models)
    for name, outline in zip(short_names(models), found, strict=True):
        try:
            if isinstance(outline, WudiError):
                raise outline
            model = ExpertOutline(name, outline)
            model.layout  # noqa: B018 - an adapter that cannot be merged is told of here
            sound.append(model)
        except WudiError as error:
            problems.append(Finding(name, str(error)))
    if isinstance(found[0], WudiError) or not sound:
        raise WudiError("\n".join(problem.text for problem in problems))
    return sound, problems


def short_names(models: Sequence[str]) -> list[str]:
    """The last part of each place, with as many parts before it as tell all of them apart."""
    whole = [re.sub(r"\.safetensors$", "", model.rstrip("/")).split("/") for model in models]
    longest = max(map(len, whole))
    for depth in range(1, longest):
        names = ["/".join(parts[-depth:]) for parts in whole]
        if len(set(names)) == len(names):
            return names
    return list(models)


def show(
    models: "Sequence[ExpertOutline]",
    found: "Sequence[tuple[str, Facts]]",
    findings: "Findings | None",
    tensors: bool,
) -> None:
    """Print it for people."""
    from wudi.inspection import aligned, shared, table

    alike = [["", "in all"]] if len(found) > 1 else []
    print(aligned([*alike, *shared([facts for _, facts in found]).items()]))
    if len(found) > 1:
        print(f"\n{table(found)}")
    for model in models if tensors else ():
        infos = model.outline.tensors.items()
        print(f"\n{model.name}", aligned([[name, info.dtype, str(list(info.shape))] for name, info in infos]), sep="\n")
    if findings is not None:
        print()
        show_findings(findings)


def show_findings(findings: "Findings") -> None:
    """Print whether the models can be merged."""
    from wudi.preflight import lines

    if findings.problems:
        print("these cannot be merged:", *lines(findings.problems, who), sep="\n  ")
    else:
        print("these can be merged")
    if findings.notes:
        print("to know:", *lines(findings.notes, who), sep="\n  ")


def who(expert: str | None) -> str:
    """An expert or the base in words."""
    return "base" if expert is None else f"expert {expert}"


def as_json(
    models: "Sequence[ExpertOutline]",
    found: "Sequence[tuple[str, Facts]]",
    findings: "Findings | None",
    tensors: bool,
) -> dict[str, Any]:
    """All of it for programs."""
    entries = [{"name": name, **facts.as_dict()} for name, facts in found]
    if tensors:
        for entry, model in zip(entries, models, strict=True):
            infos = model.outline.tensors.items()
            entry["tensors"] = {name: {"dtype": info.dtype, "shape": list(info.shape)} for name, info in infos}
    content: dict[str, Any] = {"models": entries}
    if findings is not None:
        content["mergeable"] = not findings.problems
        for key in ("problems", "notes"):
            content[key] = [{"expert": each.expert, "text": each.text} for each in getattr(findings, key)]
    return content
