"""The code blocks of docs/*.md: commands that are run, what they print, and files that they work on.

A block marked `sh` is run, a line at a time, and a block marked `text` right after it is what its last command prints.
A block in a language of files, after a paragraph that ends in a file's name and a colon, is that file. Blocks without a
mark are for people.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

from tests.conftest import ROOT

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`([^`\s]+)`:\s*$")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FILES = ("python", "yaml", "toml", "jsonl", "diff")


@dataclass(frozen=True)
class Block:
    """One code block."""

    language: str
    text: str
    section: str = ""
    """The heading that it stands under."""
    file: str = ""
    """The name of the file that it is, if it is one."""
    prints: str | None = None
    """Of commands: what the last one of them prints, where the page says so."""

    @property
    def commands(self) -> list[str]:
        """Its commands, those over several lines as one."""
        return [line for line in self.text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]

    @property
    def fails(self) -> bool:
        """Whether the page shows that the last command ends in an error."""
        return re.search(r"^error: ", self.prints or "", flags=re.MULTILINE) is not None

    @classmethod
    def found(cls, match: re.Match[str], before: str) -> Self:
        """A block and what the text before it says of it."""
        headings, named = HEADING.findall(FENCE.sub("", before)), NAMED.search(before.rstrip("\n"))
        file = named[1] if named and match[1] in FILES else ""
        return cls(match[1], match[2], headings[-1] if headings else "", file)


def blocks(page: str) -> list[Block]:
    """The blocks of a page of docs/ in their order, commands with what they print."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found: list[Block] = []
    end = 0
    for match in FENCE.finditer(text):
        block = Block.found(match, text[: match.start()])
        follows = not text[end : match.start()].strip()
        if block.language == "text" and found and found[-1].language == "sh" and follows:
            found[-1] = replace(found[-1], prints=block.text)
        else:
            found.append(block)
        end = match.end()
    return found


def matches(shown: str, printed: str) -> bool:
    """Whether a page shows what was printed: numbers and widths may differ, and a line `…` stands for any lines."""
    parts = re.split(r"^…\n", alike(shown) + "\n", flags=re.MULTILINE)
    pattern = "(?:.*\n)*".join(re.escape(part) for part in parts)
    return re.fullmatch(pattern, alike(printed) + "\n") is not None


def alike(text: str) -> str:
    """A text without what differs from run to run: numbers, widths of columns, and the folder that it ran in."""
    return "\n".join(lines(text))


def lines(text: str) -> Iterator[str]:
    """Each line of a text without what differs."""
    for line in text.strip().splitlines():
        without_folders = re.sub(r"(?<=\s)/\S*/(?=[\w-])", "/", line)
        yield re.sub(r"\s+", " ", re.sub(r"[─ ]{2,}", " ", re.sub(r"-?\d[\d.,]*", "#", without_folders))).strip()
