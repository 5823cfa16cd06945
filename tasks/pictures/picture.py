"""A picture, as a file for `dvc plots` and as a part of a page."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """One drawing in two forms, and what it says in words."""

    title: str
    description: str
    """What a reader who does not see it needs to know, with the main numbers."""
    png: bytes
    """In the light scheme's colours, on white."""
    svg: str
    """An element for a page that includes pictures.css: text is text, colours follow the reader's scheme."""
