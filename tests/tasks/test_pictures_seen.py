"""The pictures as a browser shows them, in whatever letters it has: nothing is cut, no text lies on another."""

import contextlib
from pathlib import Path

import pytest

from tasks.pictures import draw
from tasks.pictures.inks import STYLES
from tests.browsing import chromium, opened
from tests.tasks.picture_boards import LONG, OVERLAPS, board_of, in_page, write_cosines, write_layers, write_seconds

INKS = """() => [...document.querySelectorAll("svg.picture :is(path, circle, text)")].flatMap((mark) => {
  const look = getComputedStyle(mark);
  return [look.fill, look.stroke];
})"""
HARD = [*LONG[:13], "a", "b" * 60, "über <&> $x$"]
EXPERTS = [f"expert_{number}_".ljust(60, "y") for number in range(12)]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Boards of one recipe and of many, with names of one letter and of sixty; equal scores, equal seconds."""
    folder = tmp_path_factory.mktemp("pages")
    svgs = []
    for name, recipes, experts in (("hard", HARD, EXPERTS), ("least", ["wudi"], ["gsm"])):
        with contextlib.chdir(folder):
            write_seconds(dict.fromkeys(recipes, 2.0))
            write_seconds({recipe: 10.0**place for place, recipe in enumerate(recipes[:6])}, "evaluate")
            write_layers(recipes[:1], 80 if name == "hard" else 1, *(f"{part}_{'z' * 60}" for part in recipes[:2]))
            write_cosines(experts)
            svgs += [
                picture.svg for picture in draw(board_of(recipes, experts, missing=[(recipes[0], "on_a")])).values()
            ]
    file = folder / "page.html"
    file.write_text(in_page(svgs, STYLES), encoding="utf-8")
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_cut_and_no_text_lies_on_another(page: Path, scheme: str) -> None:
    with chromium() as browser, opened(browser, page, color_scheme=scheme) as shown:
        assert shown.evaluate(OVERLAPS) == []


def test_colours_follow_the_reader_and_paper_is_light(page: Path) -> None:
    """An ink that the sheet does not have would be black in both schemes; a printed page has the light ones."""
    with chromium() as browser, opened(browser, page, color_scheme="dark") as shown:
        dark = shown.evaluate(INKS)
        shown.emulate_media(color_scheme="light")
        light = shown.evaluate(INKS)
        assert all(one == other == "none" or one != other for one, other in zip(dark, light, strict=True))
        shown.emulate_media(color_scheme="dark", media="print")
        assert shown.evaluate(INKS) == light
        assert "rgb(0, 0, 0)" not in light
