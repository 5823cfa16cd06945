"""Leaderboards that try the pictures, with the files that these read, and what can be read off an SVG."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from tasks import paths
from tasks.leaderboard.compare import RECIPES
from tasks.leaderboard.gather import Leaderboard
from tasks.leaderboard.normalise import normalise, summarise
from tests.tasks.small_project import measured, write

MODULES = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"]
MODULES += ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
LONG = [f"recipe_{number:02d}_".ljust(60, "x") for number in range(40)]
OVERLAPS = """() => [...document.querySelectorAll("svg.picture")].flatMap((picture) => {
  const frame = picture.getBoundingClientRect();
  const texts = [...picture.querySelectorAll("text")].map((text) => [text.textContent, text]);
  const boxes = texts.map(([words, text]) => [words, text.getBoundingClientRect(), text.hasAttribute("transform")]);
  const cut = boxes.filter(([, box]) => box.left < frame.left - 1 || box.right > frame.right + 1
    || box.top < frame.top - 1 || box.bottom > frame.bottom + 1).map(([words]) => `cut: ${words}`);
  const upright = boxes.filter(([, , turned]) => !turned);
  const upon = upright.flatMap(([words, one], place) => upright.slice(0, place).filter(([, other]) =>
    Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1
    // lines of text may touch: a box is higher than its letters
    && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 5).map(([other]) => `${words} on ${other}`));
  return [...cut, ...upon];
})"""
"""What a browser says of the texts of all pictures on a page: those that are cut, or lie on one another."""
COMPARED = ["family", "benchmark", "first", "second", "p_adjusted"]


def board_of(
    recipes: Sequence[str], experts: Sequence[str], missing: Sequence[tuple[str, str]] = (), seed: int = 0
) -> Leaderboard:
    """Random scores, each expert best on the benchmark of its name with `on_` before it.

    Args:
        recipes: Their names.
        experts: Likewise.
        missing: Models and benchmarks that have no score.
    """
    generator = np.random.default_rng(seed)
    kinds = {**dict.fromkeys(recipes, "recipe"), "base": "base", **dict.fromkeys(experts, "expert")}
    benchmarks = {f"on_{name}": name for name in experts}
    rows = [
        {"model": name, "kind": kind, "benchmark": benchmark, "stderr": 0.02}
        | {"score": 0.9 if expert == name else float(generator.uniform(0, 0.95))}
        for name, kind in kinds.items()
        for benchmark, expert in benchmarks.items()
        if (name, benchmark) not in missing
    ]
    scores = normalise(pd.DataFrame(rows), benchmarks)
    summary = summarise(scores, kinds)
    first, *others = summary.index[summary["kind"] == "recipe"]
    pairs = [[RECIPES, "mean", first, name, 0.01 if number % 2 else 0.5] for number, name in enumerate(others)]
    return Leaderboard(list(benchmarks), scores, summary, pd.DataFrame(pairs, columns=COMPARED), {})


def write_seconds(seconds: dict[str, float], what: str = "merge") -> None:
    """What the stages leave of their time, in the working folder."""
    for name, value in seconds.items():
        write(paths.timing(what, name), json.dumps({"seconds": value}))


def write_layers(recipes: Sequence[str], blocks: int, *more: str) -> None:
    """What merges leave of interference: seven modules in each block, and other tensors."""
    tensors = [*(f"model.layers.{block}.{module}.weight" for block in range(blocks) for module in MODULES), *more]
    for number, name in enumerate(recipes):
        layers = {tensor: measured(4.0 + place, 2.0, 0.5 / (number + 1)) for place, tensor in enumerate(tensors)}
        write(paths.merged(name) / "merge.json", json.dumps({"layers": layers}))


def write_cosines(experts: Sequence[str], modules: Sequence[str] = MODULES) -> None:
    """results/similarity.json with cosines above and below 0."""
    vectors = np.random.default_rng(1).normal(size=(len(experts), 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    matrix = (vectors @ vectors.T).tolist()
    kinds = dict.fromkeys(("linear", "embedding", "other"), matrix)
    values = {"experts": list(experts), "overall": matrix, "kinds": kinds}
    write(paths.SIMILARITY, json.dumps({**values, "modules": dict.fromkeys(modules, matrix)}))


def texts(svg: str, *tags: str) -> list[str]:
    """What stands in the texts of a picture, or in other tags of it."""
    return [node.text or "" for node in ElementTree.fromstring(svg).iter() if node.tag in (tags or ("text",))]


def variables(svg: str) -> set[str]:
    """The inks that a picture is drawn in."""
    return set(re.findall(r'"var\(--plot-([\w-]+)\)"', svg))


def in_page(svgs: Sequence[str], styles: Path) -> str:
    """A page with pictures."""
    look = f"<style>{styles.read_text()} body {{ background: var(--plot-paper) }}</style>"
    return f"<!doctype html><meta charset=utf-8><title>pictures</title>{look}{''.join(svgs)}"
