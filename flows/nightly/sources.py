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


def pin_sources(root: Path) -> tuple[Moved, ...]:
    """Write the Hub's present commits into the params.yaml of `root`, and what all sources are into FILE.

    Returns:
        The models that moved since FILE was last written; none, if there is no such file.

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
    file = root / FILE
    before: Sources = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    write_pins(root / paths.PARAMS, pins)
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return moved(before, found)


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


def unseen(root: Path, models: tuple[Moved, ...]) -> tuple[str, ...]:
    """The stages that DVC would take for unchanged although these models moved: of folders and stores.

    A commit of the Hub is a parameter of its stage; that a folder has other files is none.
    """
    now: Sources = json.loads((root / FILE).read_text(encoding="utf-8"))
    names = [model.name for model in models if now[model.name].get("fingerprint")]
    return tuple("fetch_base" if name == "base" else f"fetch@{name}" for name in names)
