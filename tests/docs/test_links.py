"""Every relative link of the project's pages leads somewhere: to a file, and to a heading of it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.blocks import FENCE

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "lm_eval_tasks").glob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
INLINE = re.compile(r"`[^`]*`")


def prose(page: Path) -> str:
    """A page without its code."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> Iterator[tuple[str, str]]:
    """The file and the heading that each relative link of a page names, and each picture's file."""
    for target in LINK.findall(INLINE.sub("", prose(page).replace("[`", "[").replace("`]", "]"))):
        if "://" not in target and not target.startswith("mailto:"):
            file, _, heading = target.partition("#")
            yield file, heading


def anchors(page: Path) -> set[str]:
    """The names that headings have in links, as GitHub and GitLab make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for file, heading in links(page):
        target = page.parent / file if file else page
        assert target.exists(), f"{file} is not there"
        assert not heading or heading in anchors(target), f"{file} has no heading #{heading}"


def test_every_page_is_in_the_index() -> None:
    index = {file for file, _ in links(ROOT / "docs" / "README.md")}
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"} <= index


def test_every_picture_is_shown() -> None:
    shown = {file.rpartition("/")[2] for page in PAGES for file, _ in links(page) if "pictures/" in file}
    assert shown == {file.name for file in (ROOT / "docs" / "pictures").iterdir()}
