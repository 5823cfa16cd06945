"""Every relative link of the project's pages leads somewhere: to a file, and to a heading of it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.blocks import FENCE

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "lm_eval_tasks").glob("*.md")])
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")
INLINE = re.compile(r"`[^`]*`")

TO_COME = {
    *("similarity", "interference", "cost", "means", "heatmap", "samples"),
    *("report-top", "report-dark", "report-phone", "versions", "prefect-run", "terminal-doctor"),
}
"""Pictures in docs/pictures/ that are made from a run of the zoo, and may not be there yet."""


def prose(page: Path) -> str:
    """A page without its code."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def links(page: Path) -> Iterator[tuple[bool, str, str]]:
    """Whether it is a picture, the file and the heading that each relative link of a page names."""
    for picture, target in LINK.findall(INLINE.sub("", prose(page).replace("[`", "[").replace("`]", "]"))):
        if "://" not in target and not target.startswith("mailto:"):
            file, _, heading = target.partition("#")
            yield bool(picture), file, heading


def anchors(page: Path) -> set[str]:
    """The names that headings have in links, as GitHub and GitLab make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for picture, file, heading in links(page):
        target = page.parent / file if file else page
        assert target.exists() or (picture and target.stem in TO_COME), f"{file} is not there"
        assert not heading or heading in anchors(target), f"{file} has no heading #{heading}"


def test_every_page_is_in_the_index() -> None:
    index = {file for _, file, _ in links(ROOT / "docs" / "README.md")}
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"} <= index
