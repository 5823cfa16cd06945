"""Scores by version, drawn: of nights that git and DVC have recorded, and of very many recipes and nights."""

import dataclasses
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tasks.pictures.inks import STYLES
from tasks.versions import Comparison, History, compare
from tasks.versions.pictures import pictures
from tests.browsing import chromium, opened
from tests.tasks.picture_boards import LONG, OVERLAPS, in_page, texts, variables
from tests.tasks.versions_project import Project

NIGHTS = 60


@pytest.fixture(scope="module")
def comparison(told: Project) -> Comparison:
    return compare(History(told.root).nights())


@pytest.fixture(scope="module")
def long(comparison: Comparison) -> Comparison:
    """Sixty nights of forty recipes, which an expert's revision moved every week; one recipe has a single score."""
    first, generator = comparison.versions[0], np.random.default_rng(0)
    summary = first.summary.iloc[[0] * len(LONG)].set_axis(LONG).assign(kind="recipe")
    versions = []
    for night in range(NIGHTS):
        scores = generator.uniform(0.2, 0.6, len(LONG)) + np.linspace(0.3, 0.0, len(LONG))
        known = summary.assign(score=scores)
        names = (f"night/2026-{1 + night // 28:02d}-{1 + night % 28:02d}",)
        rows = known if night == 7 else known.drop(LONG[-1])
        versions.append(dataclasses.replace(first, names=names, summary=rows, scores=first.scores.iloc[:0]))
    moved, same = comparison.steps[0], comparison.steps[1]
    steps = [
        dataclasses.replace(moved if night % 7 == 3 else same, before=versions[night], after=versions[night + 1])
        for night in range(NIGHTS - 1)
    ]
    return Comparison(versions, steps)


def test_every_recipe_version_score_and_move_can_be_read(comparison: Comparison) -> None:
    drawn = pictures(comparison)
    shown = texts(drawn["mean"].svg, "text", "title")
    assert {"average", "wudi", "same", "best", "maths"} <= set(shown)
    assert "wudi at night/2026-11-03: 27.5" in shown
    assert "wudi really fell at night/2026-11-03: 50.0 to 27.5" in shown
    assert "night/2026-11-03: expert maths a1b2c3d -> fffffff" in shown
    assert {version.label for version in comparison.versions} <= set(shown)
    assert {"gsm8k: score in percent", "math: score in percent"} <= set(texts(drawn["benchmarks"].svg))


def test_a_recipe_has_words_at_each_of_its_scores_and_at_no_other(comparison: Comparison) -> None:
    """One that came later has none before."""
    root = ElementTree.fromstring(pictures(comparison)["mean"].svg)
    marks = {group.findtext("title"): group.findall("circle") for group in root.iter("g")}
    for recipe in comparison.recipes:
        own = [version for version in comparison.versions if recipe in version.recipes]
        words = {f"{recipe} at {version.title}: {version.score(recipe):.1f}" for version in own}
        assert words == {text for text in marks if str(text).startswith(f"{recipe} at ")}
        assert all(len(marks[text]) == 1 for text in words)


def test_of_very_many_recipes_the_best_are_named(long: Comparison) -> None:
    picture = pictures(long)["mean"]
    newest = long.versions[-1]
    best = sorted(newest.recipes, key=newest.score, reverse=True)[:8]
    shown = texts(picture.svg, "text", "title")
    assert set(LONG) <= set(shown)
    assert "Grey: the 32 recipes with lower means at the newest version." in shown
    assert {f"line-{number}" for number in range(8)} <= variables(picture.svg)
    assert best[0] in picture.description
    assert len(picture.svg) < 150_000
    # the recipe with a single score, to which no line leads
    assert picture.svg.count("<circle") == 1


@pytest.mark.parametrize("count", [1, 2])
def test_one_version_and_two_are_drawn(comparison: Comparison, count: int) -> None:
    for picture in pictures(compare(comparison.versions[:count])).values():
        assert picture.svg.count("<circle") >= count
        assert picture.png is None, "no file of `dvc plots`"


def test_nothing_is_cut_and_no_text_lies_on_another(comparison: Comparison, long: Comparison, tmp_path: Path) -> None:
    drawn = [*pictures(comparison).values(), *pictures(long).values()]
    page = tmp_path / "page.html"
    page.write_text(in_page([picture.svg for picture in drawn], STYLES), encoding="utf-8")
    with chromium() as browser, opened(browser, page) as shown:
        assert shown.evaluate(OVERLAPS) == []
