"""What the night's models come from: which commits of the Hub, and what folders and stores have now.

`results/sources.json` keeps it with each night, so that the next one sees what moved.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks import paths
from tasks.params import load_params
from tasks.pinning import fingerprints, resolve_pins, write_pins

FILE = paths.RESULTS / "sources.json"

Sources = Mapping[str, Mapping[str, str | None]]
"""By model, `base` or an expert's name: its `source`, and its `commit` on the Hub or the `fingerprint` of its files."""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A model that is not what it was in the last good night."""

    name: str
    source: str
    before: str
    now: str

    def __str__(self) -> str:
        return f"{self.name} ({self.source}) moved from {self.before[:7]} to {self.now[:7]}"


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """What the sources are tonight."""

    moved: tuple[Moved, ...]
    """The models that are not what they were in the last good night."""
    unseen: tuple[str, ...]
    """The stages that DVC may take for done although their folder or store has other files.

    A commit of the Hub is a parameter of its stage; what a folder holds is none. DVC's cache may remember what another
    night found in it, one that failed or is long past, so that only what the last good night had is to be trusted.
    """


def resolve_sources(root: Path) -> Resolved:
    """Write the Hub's present commits into the params.yaml of `root`, and what all sources are into FILE.

    Raises:
        ParamsError: params.yaml has mistakes.
        WudiError: A source does not answer, or has no such revision.
    """
    params = load_params(root / paths.PARAMS)
    pins = resolve_pins(params)
    found: dict[str, dict[str, str | None]] = {
        name: {"source": model.source} for name, model in {"base": params.base, **params.experts}.items()
    }
    for pin in pins:
        found[pin.name] |= {"revision": pin.wanted, "commit": pin.commit}
    for name, fingerprint in fingerprints(params, root).items():
        found[name]["fingerprint"] = fingerprint
    before = last_sources(root)
    write_pins(root / paths.PARAMS, pins)
    (root / FILE).parent.mkdir(exist_ok=True)
    (root / FILE).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    doubtful = [name for name, model in found.items() if "fingerprint" in model and before.get(name) != model]
    return Resolved(
        moved=moved(before, found),
        unseen=tuple("fetch_base" if name == "base" else f"fetch@{name}" for name in doubtful),
    )


def last_sources(root: Path) -> Sources:
    """What the last good night wrote; nothing, if there is none."""
    file = root / FILE
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def moved(before: Sources, now: Sources) -> tuple[Moved, ...]:
    """The models of both whose source is the same and whose content is not."""
    return tuple(
        Moved(name=name, source=str(model["source"]), before=content(before[name]), now=content(model))
        for name, model in now.items()
        if name in before and before[name].get("source") == model["source"] and content(before[name]) != content(model)
    )


def content(model: Mapping[str, str | None]) -> str:
    """What tells one state of a source from another; nothing for the zoo, which never moves."""
    return model.get("commit") or model.get("fingerprint") or ""
