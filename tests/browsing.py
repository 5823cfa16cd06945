"""The report as a reader sees it: in the system's chromium, without a screen, and without a network."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
STRUCTURE = (Path(__file__).parent / "structure.js").read_text(encoding="utf-8")
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser; a test that needs it is skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium to look at pages with: sudo apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, file: Path, **options: Any) -> Iterator[Page]:
    """A page in a window of its own, which must have said nothing and asked for nothing when it is closed.

    Args:
        browser: As `chromium` gives it.
        file: The page.
        options: Of the window, such as its `viewport` or its `color_scheme`.
    """
    context = browser.new_context(**{"viewport": DESK, **options})
    said: list[str] = []
    asked = watched(context, file.resolve().as_uri())
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.resolve().as_uri())
    yield page
    assert said == []
    assert asked == []
    context.close()


def watched(context: BrowserContext, own: str) -> list[str]:
    """The addresses that pages ask for beside their own, none of which is answered."""
    asked: list[str] = []

    def answer(route: Route) -> None:
        if route.request.url.partition("#")[0] == own:
            route.continue_()
        else:
            asked.append(route.request.url)
            route.abort()

    context.route("**/*", answer)
    return asked


def is_wider_than_the_window(page: Page) -> bool:
    """Whether the page as a whole scrolls sideways."""
    return bool(page.evaluate("document.scrollingElement.scrollWidth > innerWidth"))


def flaws(page: Page) -> dict[str, list[str]]:
    """What would trouble a screen reader or a keyboard, by kind."""
    return {kind: found for kind, found in page.evaluate(STRUCTURE).items() if found}


def column(page: Page, table: str, heading: str) -> list[str]:
    """The texts of a column of a table, from its first row to its last; of a number, without what stands beside it."""
    return page.evaluate(
        """([table, heading]) => {
            const shown = document.getElementById(table);
            const named = (cell) => cell.textContent.replace("\u00a0", " ") === heading;
            const head = [...shown.tHead.rows[0].cells].find(named);
            const text = (cell) => (cell.dataset.key === undefined ? cell.textContent.trim() : cell.dataset.key);
            return [...shown.tBodies[0].rows].map((row) => text(row.cells[head.cellIndex]));
        }""",
        [table, heading],
    )
