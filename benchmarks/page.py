"""docs/performance.md: a page of one program's, with sections between markers that others write."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
SECTION = re.compile(r"<!-- (?P<name>[a-z]+) -->\n.*?<!-- /(?P=name) -->\n", re.DOTALL)


def put_page(text: str, path: Path = PAGE) -> None:
    """Write the page anew and keep its marked sections, at the end."""
    kept = [found[0] for found in SECTION.finditer(content(path))]
    replace(path, "\n".join([text, *kept]))


def put_section(name: str, text: str, path: Path = PAGE) -> None:
    """Write the section of a name in its place, or at the end of a page that has none yet."""
    page, section = content(path), f"<!-- {name} -->\n{text.strip()}\n<!-- /{name} -->\n"
    for found in SECTION.finditer(page):
        if found["name"] == name:
            return replace(path, page[: found.start()] + section + page[found.end() :])
    return replace(path, "\n".join([page, section] if page else [section]))


def content(path: Path) -> str:
    """What the page says now; nothing where there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def replace(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f"{path.name}.tmp")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
