"""Pictures of pages, taken by Chromium."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 1280, 840
SHARPNESS = 1.5


@contextmanager
def chromium() -> Iterator[Any]:
    """The system's Chromium, with no window."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, page: Path | str, **options: Any) -> Iterator[Any]:
    """A page, at a size and in the colours of `options`."""
    settings = {"viewport": {"width": WIDTH, "height": HEIGHT}, "device_scale_factor": SHARPNESS, **options}
    context = browser.new_context(**settings)
    found = context.new_page()
    found.goto(page.resolve().as_uri() if isinstance(page, Path) else page, wait_until="load")
    yield found
    context.close()


def picture_of_svg(browser: Any, svg: str, target: Path) -> None:
    """A drawing as a PNG, in its own size."""
    context = browser.new_context(device_scale_factor=SHARPNESS)
    page = context.new_page()
    page.set_content(f"<body style='margin:0;width:60rem'>{svg}</body>")
    page.locator("svg").first.screenshot(path=target, omit_background=True)
    context.close()
