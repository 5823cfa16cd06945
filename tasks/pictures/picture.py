"""A picture, as a part of a page and, if `dvc plots` shows it, as a file."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """One drawing, and what it says in words."""

    title: str
    description: str
    """What a reader who does not see it needs to know, with the main numbers."""
    svg: str
    """An element for a page that includes pictures.css: text is text, colours follow the reader's scheme."""
    png: bytes | None
    """In the light scheme's colours, on white; None where the picture stands on a page alone."""
