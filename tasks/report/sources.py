"""What was merged, and by which settings: sources with their commits, recipes with every default, hashes."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from tasks import paths
from tasks.leaderboard import words
from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.load import load_relative_norms, read_json
from tasks.report import cell

if TYPE_CHECKING:
    from tasks.params import Model, Params
    from wudi.settings import Settings


def source_rows(board: Leaderboard, params: "Params") -> list[dict[str, Any]]:
    """Where the base and the experts come from: the revision that was asked for, and the commit that it was."""
    norms = load_relative_norms(params.experts)
    found = commits(board, params)
    return [
        {
            "name": name,
            "source": model.source,
            "revision": words.text(model.revision),
            "commit": found.get(name, ""),
            "expert_in": ", ".join(each for each in board.benchmarks if params.expert_in(each) == name),
            "norm": cell.mean(100 * norms.get(name, float("nan"))),
        }
        for name, model in models_of(params).items()
    ]


def models_of(params: "Params") -> Mapping[str, "Model"]:
    """The base and the experts."""
    return {"base": params.base, **params.experts}


def commits(board: Leaderboard, params: "Params") -> dict[str, str]:
    """The commit on the Hub of each model that came from there, as the merges have it that read it."""
    found = {}
    for recipe in board.recipes:
        sources = read_json(paths.merged(recipe) / "merge.json").get("sources", {})
        for name, model in models_of(params).items():
            read = str(sources.get("base" if name == "base" else f"experts/{name}", ""))
            if read.startswith(f"{model.source}@"):
                found[name] = read.removeprefix(f"{model.source}@")
    return found


def recipe_rows(board: Leaderboard, params: "Params") -> list[dict[str, Any]]:
    """Each recipe's method and settings, those first that are not the method's defaults, and its checkpoint's hash."""
    hashes = board.scores.groupby("model")["model_sha256"].first().reindex(board.recipes)
    return [
        {
            "name": name,
            "method": params.recipes[name].method.name,
            "settings": setting_rows(params.recipes[name].settings),
            "sha256": "" if pd.isna(hashes[name]) else hashes[name],
        }
        for name in board.recipes
    ]


def setting_rows(settings: "Settings") -> list[dict[str, Any]]:
    """Every setting as text, and whether it was chosen; chosen ones first."""
    from wudi.settings import default_of

    rows = []
    for declared in fields(settings):
        value = getattr(settings, declared.name)
        text = json.dumps(value).replace('"', "")
        rows.append({"text": f"{declared.name}: {text}", "chosen": value != default_of(declared)})
    return sorted(rows, key=lambda row: not row["chosen"])


def file_rows(board: Leaderboard) -> list[dict[str, str]]:
    """The SHA-256 of every file of weights that was read and written, as the merges have them."""
    read: dict[tuple[str, str], str] = {}
    written: dict[tuple[str, str], str] = {}
    for recipe in board.recipes:
        record = read_json(paths.merged(recipe) / "merge.json")
        for model, files in {"base": record.get("base", {}), **record.get("experts", {})}.items():
            read |= {(model, file): sha256 for file, sha256 in files.items()}
        written |= {(recipe, file): sha256 for file, sha256 in record.get("outputs", {}).items()}
    return [{"model": model, "file": file, "sha256": sha256} for (model, file), sha256 in {**read, **written}.items()]


def pinned(board: Leaderboard, params: "Params") -> str:
    """params.yaml with every default written out and each revision at its commit, without what may hold secrets."""
    values = params.model_dump(mode="json", exclude={"recipes": True, "nightly": True, "evaluation": {"server": True}})
    found = commits(board, params)
    for name, model in {"base": values["base"], **values["experts"]}.items():
        model["revision"] = found.get(name, model["revision"])
    values["recipes"] = {name: recipe.as_dict() for name, recipe in params.recipes.items()}
    ordered = {section: values[section] for section in type(params).model_fields if section in values}
    return yaml.safe_dump(json.loads(json.dumps(ordered)), sort_keys=False, allow_unicode=True, width=100)
