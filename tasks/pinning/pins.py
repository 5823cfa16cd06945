"""Which commit each revision of params.yaml names on the Hub now."""

import re
from dataclasses import dataclass

from tasks.fetching.folder import local_folder
from tasks.params import Model, Params
from tasks.pinning.models import look_at, models_of

THREADS = 8
"""Questions to the Hub at a time."""


@dataclass(frozen=True, kw_only=True)
class Pin:
    """A model of the Hub, and the commit that its revision names now."""

    name: str
    """`base`, or an expert's name."""
    source: str
    wanted: str | None
    """The revision as params.yaml has it."""
    commit: str


def resolve_pins(params: Params) -> tuple[Pin, ...]:
    """Ask the Hub for the commits of the base and the experts that come from it; a whole commit needs no question.

    Raises:
        WudiError: The Hub refuses, does not answer, or has no such model or revision: a line for each model.
    """
    models = {name: model for name, model in models_of(params).items() if on_hub(model)}
    commits = look_at(models, commit_of, THREADS)
    return tuple(
        Pin(name=name, source=model.source, wanted=model.revision, commit=commits[name])
        for name, model in models.items()
    )


def on_hub(model: Model) -> bool:
    """Whether a model comes from the Hub, which alone has revisions."""
    return ":" not in model.source and local_folder(model.source) is None


def commit_of(model: Model) -> str:
    """The commit that a model's revision names now."""
    if model.revision is not None and re.fullmatch(r"[0-9a-f]{40}", model.revision):
        return model.revision
    from tasks.fetching.hub import resolve  # takes its time to import

    return resolve(model).commit
